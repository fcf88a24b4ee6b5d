"""The one table of settings: name, type, default, help, and where each may be given."""

from __future__ import annotations

from batchfill.domain.findings import FLAGS
from batchfill.domain.objects import read_outputs_address
from batchfill.domain.provider_facts import REPLICATE_API
from batchfill.settings.addresses import REPLICATE, read_cluster, read_endpoint, read_mirror, read_notify
from batchfill.settings.retry_words import read_retry
from batchfill.settings.setting import MANIFEST, READING, RUN, Setting
from batchfill.settings.value_types import (
    FLUX_FILL_DEV,
    UNBOUNDED,
    CommandWords,
    FilePath,
    FolderPath,
    Pairs,
    Switch,
    Text,
    ValueType,
    choice,
    count,
    number,
    read_cap,
    read_command,
    read_keep,
    read_model,
    read_money,
    read_time,
    seconds,
    some_of,
)

SETTINGS = (
    Setting(
        "out",
        FolderPath("DIR", "a folder"),
        "the batch folder",
        (READING,),
        default_text="`NAME.batch` next to the manifest",
    ),
    Setting(
        "profile",
        ValueType("NAME", "the name of a profile"),
        "the settings of `[profile.NAME]` in `config.toml`",
        (READING,),
        see="settings.md#profiles",
    ),
    Setting(
        "env_file",
        FilePath("FILE", "a file"),
        "a file of variables, such as `gateway.env`, that go before those of the environment",
        (READING,),
        see="settings.md#environment-files",
    ),
    Setting(
        "base_url",
        ValueType("URL", "an address"),
        "the provider: Replicate, or a gateway that speaks its API",
        (READING,),
        default=REPLICATE,
        default_text="Replicate",
        see="gateways.md#base",
    ),
    Setting(
        "header",
        Pairs("NAME=VARIABLE", "`NAME=VARIABLE`, repeatable"),
        "a further header for the provider: its value is that of an environment variable, and a secret",
        (READING,),
        repeatable=True,
        see="gateways.md#further-headers",
    ),
    Setting(
        "token_command",
        CommandWords("COMMAND", "a command and its arguments"),
        "the command that prints the token; it runs without a shell, and its output is shown nowhere",
        (),
        see="gateways.md#token",
    ),
    Setting(
        "plain_http",
        Switch(),
        "allow `http` to a provider at a private address, or at a name without a dot",
        (READING,),
        default=False,
        default_text="off",
        see="gateways.md#plain-http",
    ),
    Setting(
        "idempotent",
        Switch(revocable=True),
        "the provider honours `Idempotency-Key`: lost answers are sent again with their own key; remembered",
        (RUN,),
        default=False,
        default_text="off",
        once=True,
        see="gateways.md#idempotency",
    ),
    Setting("local", Switch(), "rehearse offline with the local emulator", (READING,), default_text="off"),
    Setting(
        "model",
        Text("OWNER/NAME", "`OWNER/NAME` or `OWNER/NAME:VERSION`", read_model),
        "the model to run; with a version it is asked for by that version",
        (READING, MANIFEST),
        default=FLUX_FILL_DEV,
        default_text=f"`{FLUX_FILL_DEV}`",
    ),
    Setting(
        "set",
        Pairs("INPUT=VALUE", "`INPUT=VALUE`, repeatable"),
        "an input for every row that gives none",
        (READING, MANIFEST),
        repeatable=True,
        name_in_manifest="defaults",
    ),
    Setting(
        "column",
        Pairs("INPUT=NAME", "`INPUT=NAME`, repeatable"),
        "the manifest's own name for an input, such as `image=photo_url`",
        (READING, MANIFEST),
        repeatable=True,
        example="{image: photo_url}",
    ),
    Setting(
        "concurrency", count(1000), "predictions in flight at most", (READING, MANIFEST), 32, example="32"
    ),
    Setting(
        "rate",
        Text("PER_MINUTE", "0.1 to 100000", number(0.1, 100_000, whole=False)),
        "submissions a minute at most",
        (READING, MANIFEST),
        default=REPLICATE_API.creates_per_minute,
        example="600",
    ),
    Setting("skip_bad", Switch(), "leave out rows with mistakes", (READING,), False, default_text="off"),
    Setting(
        "max_cost",
        Text("AMOUNT|none", "an amount, or `none`", read_cap),
        "money for the whole batch; remembered",
        (READING, MANIFEST),
        default_text="none",
        once=True,
        example="25",
    ),
    Setting("allow_outside", Switch(), "allow files from anywhere on the disk", (READING,), False, "off"),
    Setting("model_schema", FilePath("FILE", "a file"), "the model's OpenAPI Input schema", (READING,)),
    Setting(
        "encoding",
        Text("NAME", "a name such as `gb18030`"),
        "the encoding of the rows",
        (READING, MANIFEST),
        default_text="UTF-8",
        example="utf-8",
    ),
    Setting(
        "sheet",
        Text("NAME", "a sheet's name"),
        "the sheet of a workbook that holds the rows",
        (READING, MANIFEST),
        default_text="the first one",
        example="Sheet1",
    ),
    Setting(
        "answer_timeout", seconds(1, 3600), "time until an answer counts as lost", (READING,), default=60.0
    ),
    Setting(
        "attempts", count(100), "attempts of a row over its life", (RUN, MANIFEST), default=3, example="3"
    ),
    Setting(
        "redo_flagged",
        some_of(*FLAGS),
        "make a row again in the same run, with a new seed, when each of its pictures has one of these flags",
        (READING, MANIFEST),
        default=(),
        default_text="none",
        example="[blank, unchanged]",
        see="running-and-resuming.md#made-again-by-itself",
    ),
    Setting(
        "redo_times",
        count(10),
        "with `redo_flagged`: how often at most, over the life of a row",
        (READING, MANIFEST),
        default=1,
        example="1",
    ),
    Setting(
        "retry",
        Text("WHAT", "words joined by commas", read_retry),
        "rows to submit again: `failed`, `canceled`, `expired`, `in-doubt`, `missing`, `done`; "
        "`rejected`, `redo`, `flagged:blank`",
        (RUN,),
        default=frozenset(),
        once=True,
        see="running-and-resuming.md#retry",
    ),
    Setting(
        "id",
        ValueType("ID", "an id, repeatable"),
        "only this row, even if it is done",
        (RUN,),
        repeatable=True,
        once=True,
    ),
    Setting("limit", count(UNBOUNDED), "rows that this call may submit", (RUN,), once=True),
    Setting(
        "until",
        Text("HH:MM", "`HH:MM`", read_time),
        "stop submitting so that all is downloaded by then",
        (RUN, MANIFEST),
        once=True,
        example="07:30",
    ),
    Setting(
        "prediction_timeout",
        seconds(5, 86_400),
        "time until a running prediction is canceled",
        (RUN, MANIFEST),
        default=1800.0,
        example="1800",
    ),
    Setting(
        "recover_wait",
        seconds(0, 86_400),
        "time after a lost answer before absence may be proved",
        (RUN,),
        default=300.0,
    ),
    Setting(
        "outputs",
        Text("URL", "an address such as `s3://bucket/night/`", read_outputs_address),
        "a folder of a bucket in which the pictures are, instead of the batch folder; remembered",
        (RUN,),
        once=True,
        see="buckets.md#outputs-in-a-bucket",
    ),
    Setting(
        "hand_over",
        choice("bucket", "upload"),
        "pictures in buckets are put where the service fetches them, or they are uploaded",
        (RUN,),
        default="upload",
        default_text="`upload`",
        see="buckets.md#handing-over",
    ),
    Setting(
        "s3_endpoint",
        Text("URL", "an address such as `https://storage.example.com:9000`", read_endpoint),
        "the server of `s3://` addresses where it is not Amazon's; goes before `AWS_ENDPOINT_URL`",
        (),
        see="buckets.md#addresses",
    ),
    Setting(
        "same_account", Switch(), "this new token is of the same account", (RUN,), False, "off", once=True
    ),
    Setting(
        "accept_loss",
        count(UNBOUNDED),
        "submit again the rows that a start named as lost",
        (RUN,),
        once=True,
        see="batch-folder.md#record-of-payments",
    ),
    Setting(
        "mirror",
        Text("URL", "a prefix in a bucket such as `s3://bucket/night/`, or `none`", read_mirror),
        "where every commit of the ledger is put too, so that another machine can go on; remembered",
        (RUN,),
        default_text="none",
        once=True,
        see="many-machines.md#mirror",
    ),
    Setting(
        "take_over", Switch(), "go on here with the lost run of `--mirror`", (RUN,), False, "off", once=True
    ),
    Setting(
        "cluster",
        Text("ADDRESS", "an address such as `tls://HOST:8786`", read_cluster),
        "the dask scheduler whose workers make pictures of buckets ready, and finish them",
        (RUN,),
        default_text="none",
        once=True,
        see="many-machines.md#cluster",
    ),
    Setting(
        "worker_wait",
        seconds(0, 86_400),
        "with `--cluster`: time without any worker after which this machine finishes what runs",
        (RUN,),
        default=600.0,
        see="many-machines.md#failures-of-a-cluster",
    ),
    Setting(
        "plain_cluster",
        Switch(),
        "allow a `--cluster` of plain `tcp` on other machines: only in a network that you alone use",
        (RUN,),
        default=False,
        default_text="off",
        see="many-machines.md#cluster",
    ),
    Setting("workers", count(1000), "processes here that work on pictures", (RUN,), None, "one a core"),
    Setting("latency", seconds(0, 3600), "with `--local`: a pretended run time", (RUN,), default_text="0"),
    Setting(
        "notify",
        Text("URL", "an address, or `desktop`", read_notify),
        "where the end, a stop or a stall is told: JSON; text for `ntfy.*` hosts and `ntfy+https://…`; "
        "`slack://…` and the like by Apprise",
        (RUN,),
        once=True,
        see="running-and-resuming.md#notifications",
    ),
    Setting(
        "on_end",
        Text("COMMAND", "a program and its words", read_command),
        "a command to start when the run is over, without a shell",
        (RUN,),
        once=True,
        see="running-and-resuming.md#notifications",
    ),
    Setting(
        "yes", Switch(), "do not ask before the first payment", (RUN,), False, "off", once=True, short="-y"
    ),
    Setting(
        "quiet", Switch(), "print only what needs attention", (RUN,), False, "off", once=True, short="-q"
    ),
    Setting(
        "verbose", Switch(), "print all that `run.log` gets", (RUN,), False, "off", once=True, short="-v"
    ),
    Setting(
        "log_format",
        choice("text", "json"),
        "lines of `run.log` and on standard error: text, or a JSON object each",
        (RUN,),
        default="text",
        default_text="`text`",
        see="running-and-resuming.md#log",
    ),
    Setting(
        "price",
        Text("AMOUNT", "an amount such as `0.04`", read_money),
        "price of one output",
        (READING, MANIFEST),
        default_text="Replicate's price, else unknown",
        example="0.04",
    ),
    Setting(
        "send",
        choice("fitted", "original"),
        "local files are scaled down to the model's size, or sent as they are",
        (MANIFEST,),
        default="fitted",
        default_text="`fitted`",
        example="original",
    ),
    Setting(
        "extra_columns",
        Text("keep|refuse", "`keep`, `refuse`", read_keep),
        "unknown columns go to the results, or are mistakes",
        (READING, MANIFEST),
        default=False,
        default_text="`refuse`",
        example="keep",
    ),
)
"""Every setting, in the order of `run --help`."""

BY_NAME = {setting.name: setting for setting in SETTINGS}
IN_MANIFEST = {setting.in_manifest: setting for setting in SETTINGS if setting.in_manifest}
"""Settings that a manifest may hold, by their names there."""


OUTSIDE = {setting.name: setting for setting in SETTINGS if not setting.said_with_command}
"""Settings that may come from around the command: variables, `--env-file`, `config.toml`."""
FOR_THE_PROVIDER = frozenset({"header", "idempotent", "price", "token_command"})
"""Settings that are about one provider: around the command they count for the base next to them alone."""
