"""Notifications by way of the services and desktops that Apprise knows."""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import TYPE_CHECKING

from anyio import to_thread

from batchfill.errors import NotifyError, UsageError
from batchfill.notify.message import UNTOLD, text_line, title_of
from batchfill.settings.addresses import DESKTOP

if TYPE_CHECKING:
    from apprise import NotifyBase

    from batchfill.domain.progress import Notification

SERVICE_TIMEOUT = 15.0
"""Seconds for a whole notification: a mail server takes longer than a webhook."""

DESKTOPS = {"darwin": ("macosx://",), "win32": ("windows://",)}
"""What shows a notification on the screen of this machine, by its system."""

LINUX_DESKTOPS = ("dbus://", "glib://", "gnome://")

NO_DESKTOP = (
    "--notify desktop: Apprise finds nothing here that shows notifications on the screen: "
    "{way}, or name another receiver"
)
WAYS = {"darwin": "install terminal-notifier", "win32": "install the package pywin32"}
LINUX_WAY = "install the package dbus-python"


class ServiceReceiver:
    """Tells one service, such as `slack://…` or `mailto://…`, or the desktop. It never sees the token."""

    failure = UNTOLD

    def __init__(self, address: str) -> None:
        """*address*: as settings.read_notify returns it. Raises UsageError when nothing takes it."""
        self._shown = address if address == DESKTOP else f"{address.partition(':')[0]}://…"
        self._service = _find_desktop() if address == DESKTOP else _find_service(address, self._shown)

    async def post(self, news: Notification) -> None:
        """Tell *news* once, within SERVICE_TIMEOUT.

        Raises NotifyError, which names the kind of service alone: the rest of an address is a key.
        """
        try:
            async with asyncio.timeout(SERVICE_TIMEOUT):
                told = await to_thread.run_sync(self._tell, news, abandon_on_cancel=True)
        except TimeoutError as error:
            raise NotifyError(f"no answer from {self._shown} within {SERVICE_TIMEOUT:.0f} s") from error
        # The boundary to plugins of other people: they raise what libraries raise, with the address in it.
        except Exception as error:
            raise NotifyError(f"{self._shown} failed ({type(error).__name__})") from None
        if not told:
            raise NotifyError(f"{self._shown} did not take it: check the address, and try it with `apprise`")

    def _tell(self, news: Notification) -> bool:
        return bool(self._service.notify(title=title_of(news), body=text_line(news)))


def _find_desktop() -> NotifyBase:
    for address in DESKTOPS.get(sys.platform, LINUX_DESKTOPS):
        if (service := _instantiate(address)) is not None:
            return service
    raise UsageError(NO_DESKTOP.format(way=WAYS.get(sys.platform, LINUX_WAY)))


def _find_service(address: str, shown: str) -> NotifyBase:
    service = _instantiate(address)
    if service is None:
        raise UsageError(
            f"--notify {shown} is no address that Apprise can use here: it knows no such service, a part is "
            "missing, or the service needs a package that is not installed"
        )
    return service


def _instantiate(address: str) -> NotifyBase | None:
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        raise UsageError(
            "--notify takes other addresses than https:// with the extra notify: "
            "pip install 'batchfill[notify]'"
        ) from None
    with warnings.catch_warnings():
        # Some of its plugins import what Python is about to drop.
        warnings.simplefilter("ignore", DeprecationWarning)
        # What a desktop shows as the program that tells it.
        asset = AppriseAsset(app_id="batchfill", app_desc="batchfill")
        return Apprise.instantiate(address, asset=asset, suppress_exceptions=True) or None
