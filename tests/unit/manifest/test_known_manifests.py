"""Manifests that were read before: an upgrade changes neither their rows nor what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.catalog.builtin import unchecked_model
from tests.support.manifests import URLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchfill.domain.rows import Row

UNDESCRIBED = {"model": unchecked_model("a/b")}
# In each content @ stands for the two addresses.
KNOWN: tuple[tuple[str, str, str, dict[str, Any], tuple[str, ...]], ...] = (
    (
        "plain",
        "night.csv",
        "id,image,mask,prompt\na,@,a boat\n",
        {},
        ("1c0538ab",),
    ),
    (
        "spaces at the ends of a prompt",
        "night.csv",
        "id,image,mask,prompt\na,@, a boat \nb,@,\ta boat\n",
        {},
        ("f1235aeb", "589d0a47"),
    ),
    (
        "a quote inside",
        "night.csv",
        'id,image,mask,prompt\na,@,a 12" ruler\nb,@,12" and 13"\n',
        {},
        ("410932d0", "389fdf6f"),
    ),
    (
        "quotes after other text",
        "night.csv",
        'id,image,mask,prompt\na,@, "OPEN" on a door\nb,@, "open\n',
        {},
        ("776bbfb6", "ed3852c4"),
    ),
    (
        "quotes inside quotes",
        "night.csv",
        'id,image,mask,prompt\na,@,"say ""hi"", ""you"""\nb,@,"a ""b"" , ""c"" d"\nc,@,"x\n, ""y"" ,z"\n',
        {},
        ("ff93179f", "25495dff", "170110e6"),
    ),
    (
        "semicolons",
        "night.csv",
        "id;image;mask;prompt\na;http://x/a.png;http://x/m.png;a boat\n",
        {},
        ("1c0538ab",),
    ),
    (
        "tabs",
        "night.tsv",
        "id\timage\tmask\tprompt\na\thttp://x/a.png\thttp://x/m.png\t a boat\n",
        {},
        ("12542fd2",),
    ),
    (
        "sep",
        "night.csv",
        "sep=;\r\nid;image;mask;prompt\na;http://x/a.png;http://x/m.png;a boat\r\n",
        {},
        ("1c0538ab",),
    ),
    (
        "bars in a prompt",
        "night.csv",
        "id,image,mask,prompt\na,@,a|b|c|d|e\n",
        {},
        ("0678477d",),
    ),
    (
        "bars in a header",
        "night.csv",
        "image,mask,prompt,x_a|b|c|d\n@,p,n\n",
        {},
        ("9e4507a9",),
    ),
    (
        "a column of another case is carried",
        "night.csv",
        "image,mask,prompt,Seed,ID,Guidance\n@,p,7,X,9\n",
        {"extra_columns": True},
        ("9e4507a9",),
    ),
    (
        "an index is carried",
        "night.csv",
        "Unnamed: 0,image,mask,prompt\n0,@,p\n1,@,p\n",
        {"extra_columns": True},
        ("9e4507a9", "9e4507a9"),
    ),
    (
        "an undescribed model",
        "night.csv",
        'image,mask,prompt,Steps,strength,Prompt,x\n@,p,3,"3,5",P,TRUE\n',
        UNDESCRIBED,
        ("a12b3566",),
    ),
    (
        "numbers",
        "night.csv",
        "image,mask,prompt,guidance,seed,megapixels,disable_safety_checker\n@,p,30.0,7.0,1.0,YES\n@,p,3.5,,0.250,0\n",
        {},
        ("1f4806a5", "68b36ecb"),
    ),
    (
        "pixel settings",
        "night.csv",
        "image,mask,prompt,mask_grow,padding\nimages/hero.png,images/mask.png,p,8,25%\n",
        {},
        ("27fb81ef",),
    ),
    (
        "jsonl",
        "night.jsonl",
        '{"image": "http://x/a", "mask": "http://x/m", "prompt": " p ", "seed": 7, "guidance": 3.50}\n',
        {},
        ("b9e65f1e",),
    ),
    (
        "yaml",
        "night.yaml",
        "rows:\n  - {image: http://x/a, mask: http://x/m, prompt: no, guidance: 10}\n",
        {},
        ("ba912e80",),
    ),
    (
        "keys of another case than a mapped one",
        "night.jsonl",
        '{"image": "http://x/a", "mask": "http://x/m", "prompt": "p", "Note": 7}\n'
        '{"image": "http://x/a", "mask": "http://x/m", "prompt": "p", "note": 8}\n',
        {**UNDESCRIBED, "column": {"guidance": "Note"}},
        ("10e9fda3", "27c5e540"),
    ),
    (
        "a carried key of another case than a mapped one",
        "night.jsonl",
        '{"image": "http://x/a", "mask": "http://x/m", "prompt": "p", "x_Steps": 20}\n'
        '{"image": "http://x/a", "mask": "http://x/m", "prompt": "p", "x_steps": 30}\n',
        {"column": {"num_inference_steps": "x_Steps"}},
        ("cd912c40", "12491811"),
    ),
    (
        "results",
        "night.csv",
        "id,image,mask,prompt,state,prediction_id,attempts\na,@,'=1,done,x,1\n",
        {"extra_columns": True},
        ("705a341c",),
    ),
    (
        "odd prompts",
        "night.csv",
        "id,image,mask,prompt\na,@,#NAME?\nb,@,nan\nc,@,{prompt}\nd,@,photo.jpg (https://x/y.jpg)\n",
        {},
        ("c7b1d1c6", "dfc35936", "64c508a0", "f7af9cd6"),
    ),
)


@pytest.mark.parametrize(
    ("name", "content", "options", "digests"),
    [known[1:] for known in KNOWN],
    ids=[known[0] for known in KNOWN],
)
def test_a_manifest_that_was_read_before_asks_for_the_same(
    rows: Callable[..., list[Row]], name: str, content: str, options: dict[str, Any], digests: tuple[str, ...]
) -> None:
    assert tuple(row.fingerprint[:8] for row in rows(content.replace("@", URLS), name, **options)) == digests
