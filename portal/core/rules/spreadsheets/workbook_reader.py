"""openpyxl's reader, which reads all of a workbook but the sheets at once, with a limit for that."""

import io
import zipfile

from openpyxl.reader.excel import SHARED_STRINGS, ExcelReader
from openpyxl.workbook import Workbook

from portal.core.rules.csv_input import CsvError
from portal.core.translation import gettext as _


def open_workbook(raw: bytes, max_megabytes: int) -> Workbook:
    """Raises `CsvError`, or what openpyxl raises for a damaged workbook."""
    reader = _Reader(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
    reader.archive = _LimitedArchive(raw, max_megabytes)
    reader.read()
    return reader.wb


class _LimitedArchive(zipfile.ZipFile):
    def __init__(self, raw: bytes, max_megabytes: int) -> None:
        super().__init__(io.BytesIO(raw))
        self._limit, self._remaining = max_megabytes, max_megabytes * 1024**2

    def read(self, name: str, pwd: bytes | None = None) -> bytes:  # type: ignore[override]
        self.spend(name)
        return super().read(name, pwd)

    def spend(self, name: str) -> None:
        """Raises `CsvError` if the part is too much with those before."""
        self._remaining -= self.getinfo(name).file_size
        if self._remaining < 0:
            raise CsvError(
                _(
                    "The texts and styles of this workbook take more than %(limit)s MB when unpacked. Save the sheet "
                    "as “CSV UTF-8”, and upload that.",
                    limit=self._limit,
                )
            )


class _Reader(ExcelReader):  # type: ignore[misc]
    """The manifest, not its name, says which part holds the texts of the cells."""

    archive: _LimitedArchive

    def read_strings(self) -> None:
        if part := self.package.find(SHARED_STRINGS):
            self.archive.spend(part.PartName[1:])
        super().read_strings()

    def read_chartsheet(self, *_sheet: object) -> None:
        """It has no rows, and may be large."""
