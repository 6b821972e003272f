"""Encode, re-read, verify: nothing leaves this step that does not read back as what the model said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from pydicom.config import disable_value_validation

from node.errors import ResultVerificationFailed
from node.ports import EncodedObject, ResultEncoder, Run, SourcePictures
from node.results.context import Maker, ResultContext
from node.results.findings import require_locations
from node.results.kos import KeyObjectEncoder
from node.results.model_output import require_valid
from node.results.pm import ParametricMapEncoder
from node.results.renditions import drawn, picture_encoders, sets_beside
from node.results.seg import SegmentationEncoder
from node.results.source import read_headers
from node.results.sr import FurtherReportEncoder, ReportEncoder
from node.results.verify import verify, verify_drawn

ENCODERS: tuple[ResultEncoder[ResultContext], ...] = (
    SegmentationEncoder(),
    ParametricMapEncoder(),
    KeyObjectEncoder(),
    FurtherReportEncoder(),
    ReportEncoder(),
)


class DicomResultWriter:
    """``ports.ResultWriter``: one SEG where something is delineated, and one SR for every outcome.

    There is no clock in here: objects depend on input, model and result alone, so another attempt or a repeated job
    writes the same bytes.
    """

    def __init__(
        self,
        maker: Maker,
        encoders: Sequence[ResultEncoder[ResultContext]] = ENCODERS,
        zone: tzinfo | None = None,
        pictures: SourcePictures | None = None,
    ) -> None:
        """``zone``: the site's time zone, for sources that name none; None is that of this machine.

        ``pictures`` reads the pixels that Secondary Captures show.
        """
        self._maker = maker
        self._encoders = tuple(encoders)
        self._zone = zone
        self._picture_encoders = picture_encoders(pictures)

    def write(self, run: Run) -> Sequence[EncodedObject]:
        """The objects of a run, in the order in which they should travel: what is referred to comes first.

        The main report in the type that the model declares is the last.

        Raises:
            InvalidModelOutput: the result cannot be written; ``details['field']`` names what is wrong.
            ResultVerificationFailed: what was written does not read back as it should.
            ObjectMissing: a source image is gone.
        """
        require_valid(run)
        if not run.sources or len(run.sources) != len(run.locations):
            raise ResultVerificationFailed("a run without its source images", field="sources")
        # What the source says is copied as it stands: a name of 80 characters is no reason to lose a result.
        with disable_value_validation():
            context = ResultContext(run, read_headers(run.sources, run.locations), self._maker, self._zone)
            require_locations(run, context.headers)
            pictures = drawn(context, self._picture_encoders)
            verify_drawn(context, pictures)
            return (*pictures, *sets_beside(context, self._written(context), self._written))

    def _written(self, context: ResultContext) -> tuple[EncodedObject, ...]:
        objects = tuple(written for encoder in self._encoders for written in encoder.encode(context))
        verify(context, objects)
        return objects
