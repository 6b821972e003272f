"""From stored objects to a volume: values, order, sources, and everything that is no volume."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from node.domain.study import ByteRange
from node.errors import (
    AinodeError,
    MixedImages,
    NoPixelData,
    ObjectMissing,
    SeveralAcquisitions,
    UndecodablePixelData,
    UnsupportedImage,
)
from node.infer.volume import load_volume
from tests.fakes.series import COLUMNS, FRAME_OF_REFERENCE, ROWS, mr_slice, series, stored_values, write

EXPECTED = np.stack([stored_values(k) for k in range(4)]).astype(np.float32)


def test_a_series_in_any_order_becomes_a_sorted_volume(tmp_path: Path) -> None:
    volume = load_volume(write(tmp_path, series([2, 0, 3, 1])))
    np.testing.assert_array_equal(volume.array, EXPECTED)
    assert volume.array.dtype == np.float32
    assert volume.spacing == pytest.approx((2.5, 0.5, 0.75))
    assert volume.modality == "MR"
    assert volume.grid.frame_of_reference_uid == FRAME_OF_REFERENCE
    assert [source.sop_instance_uid for source in volume.grid.sources] == [f"1.2.3.4.{k}" for k in range(4)]
    assert {source.frame for source in volume.grid.sources} == {None}


def test_objects_inside_a_larger_file(tmp_path: Path) -> None:
    parts = [Path(location.path).read_bytes() for location in write(tmp_path, series())]
    journal = tmp_path / "journal"
    journal.write_bytes(b"\xff" * 7 + b"".join(parts))
    offsets = 7 + np.cumsum([0, *map(len, parts[:-1])])
    volume = load_volume([ByteRange(str(journal), int(at), len(part)) for at, part in zip(offsets, parts, strict=True)])
    np.testing.assert_array_equal(volume.array, EXPECTED)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed_transfer_syntaxes(tmp_path: Path, syntax: str) -> None:
    locations = []
    for k in range(4):
        image = mr_slice(k)
        image.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            image.PixelData = stored_values(k).astype(">u2").tobytes()
        path = tmp_path / f"{k}.dcm"
        image.save_as(
            path,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian,
            enforce_file_format=True,
        )
        locations.append(ByteRange(str(path), 0, path.stat().st_size))
    np.testing.assert_array_equal(load_volume(locations).array, EXPECTED)


def test_rescale_is_applied_slice_by_slice(tmp_path: Path) -> None:
    def rescaled(image: Dataset, k: int) -> None:
        image.RescaleSlope, image.RescaleIntercept = k + 0.5, -1024

    volume = load_volume(write(tmp_path, series(change=rescaled)))
    for k in range(4):
        np.testing.assert_allclose(volume.array[k], stored_values(k) * (k + 0.5) - 1024)


def test_signed_values_with_unused_bits_and_a_high_bit_elsewhere(tmp_path: Path) -> None:
    values = np.array([-2048, -1, 0, 1, 2047] * ROWS, dtype=np.int16).reshape(ROWS, COLUMNS)

    def signed(image: Dataset, k: int) -> None:
        image.PixelRepresentation, image.BitsStored, image.HighBit = 1, 12, 13
        # Two bits below and two above the value hold rubbish.
        packed = ((values.astype(np.uint16) & 0x0FFF) << 2) | 0x8003
        image.PixelData = packed.astype(np.uint16).tobytes()

    volume = load_volume(write(tmp_path, series(change=signed)))
    np.testing.assert_array_equal(volume.array[0], values)


@pytest.mark.parametrize("signed", [False, True])
def test_monochrome1_is_inverted_within_its_stored_range(tmp_path: Path, signed: bool) -> None:
    def inverted(image: Dataset, k: int) -> None:
        image.PhotometricInterpretation = "MONOCHROME1"
        image.PixelRepresentation = int(signed)
        image.RescaleSlope, image.RescaleIntercept = 2, 10

    volume = load_volume(write(tmp_path, series(change=inverted)))
    ends = -1 if signed else 4095
    np.testing.assert_allclose(volume.array, (ends - EXPECTED) * 2 + 10)


def test_eight_bits(tmp_path: Path) -> None:
    def narrow(image: Dataset, k: int) -> None:
        image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
        image.PixelData = np.full((ROWS, COLUMNS), 200 + k, np.uint8).tobytes()

    volume = load_volume(write(tmp_path, series(change=narrow)))
    assert volume.array[:, 0, 0].tolist() == [200, 201, 202, 203]


def enhanced(frames: int = 4) -> Dataset:
    """One enhanced multi-frame MR image: position and slope per frame, the rest shared."""
    image = mr_slice(0)
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = EnhancedMRImageStorage
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(image, keyword)
    image.NumberOfFrames = frames
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.75]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    image.PerFrameFunctionalGroupsSequence = Sequence(map(frame_groups, range(frames)))
    image.PixelData = b"".join(stored_values(k).tobytes() for k in range(frames))
    return image


def frame_groups(k: int) -> Dataset:
    groups, position, transformation, content = Dataset(), Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [-10, -20, -2.5 * k]
    transformation.RescaleSlope, transformation.RescaleIntercept = k + 1, 5
    content.StackID = "1"
    groups.PlanePositionSequence = Sequence([position])
    groups.PixelValueTransformationSequence = Sequence([transformation])
    groups.FrameContentSequence = Sequence([content])
    return groups


def test_an_enhanced_multi_frame_image(tmp_path: Path) -> None:
    volume = load_volume(write(tmp_path, [enhanced()]))
    # Frames descend, slices ascend along the normal.
    assert [source.frame for source in volume.grid.sources] == [4, 3, 2, 1]
    for k, frame in enumerate((3, 2, 1, 0)):
        np.testing.assert_allclose(volume.array[k], stored_values(frame) * float(frame + 1) + 5)
    assert volume.affine[:3, 3].tolist() == [-10, -20, -7.5]


def test_time_points_in_one_multi_frame_image(tmp_path: Path) -> None:
    image = enhanced()
    for k, groups in enumerate(image.PerFrameFunctionalGroupsSequence):
        groups.FrameContentSequence[0].TemporalPositionIndex = k % 2 + 1
    with pytest.raises(SeveralAcquisitions, match="2 different time points"):
        load_volume(write(tmp_path, [image]))


def test_frames_without_functional_groups_for_each(tmp_path: Path) -> None:
    image = enhanced()
    del image.PerFrameFunctionalGroupsSequence[0]
    with pytest.raises(UnsupportedImage, match="3 functional groups for 4 frames"):
        load_volume(write(tmp_path, [image]))


def colour(image: Dataset) -> None:
    image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"


def palette(image: Dataset) -> None:
    image.PhotometricInterpretation = "PALETTE COLOR"


def lookup_table(image: Dataset) -> None:
    item = Dataset()
    item.LUTDescriptor = [1, 0, 16]
    image.ModalityLUTSequence = Sequence([item])


def one_bit(image: Dataset) -> None:
    image.BitsAllocated = image.BitsStored = 1
    image.HighBit = 0


def more_stored_than_allocated(image: Dataset) -> None:
    image.BitsStored, image.HighBit = 20, 19


def without_pixels(image: Dataset) -> None:
    del image.PixelData


def floating_point(image: Dataset) -> None:
    del image.PixelData
    image.FloatPixelData = np.zeros(ROWS * COLUMNS, np.float32).tobytes()


def short(image: Dataset) -> None:
    image.PixelData = image.PixelData[:20]


def enormous(image: Dataset) -> None:
    image.Rows = image.Columns = 65535


def many_frames(image: Dataset) -> None:
    image.NumberOfFrames = 2**31 - 1


def zero_slope(image: Dataset) -> None:
    image.RescaleSlope, image.RescaleIntercept = 0, 1


def without_rows(image: Dataset) -> None:
    del image.Rows


def no_rows(image: Dataset) -> None:
    image.Rows = 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (colour, UnsupportedImage),
        (palette, UnsupportedImage),
        (lookup_table, UnsupportedImage),
        (one_bit, UnsupportedImage),
        (more_stored_than_allocated, UnsupportedImage),
        (zero_slope, UnsupportedImage),
        (without_rows, UnsupportedImage),
        (no_rows, UnsupportedImage),
        (without_pixels, NoPixelData),
        (floating_point, UnsupportedImage),
        (short, UndecodablePixelData),
        (enormous, UndecodablePixelData),
        (many_frames, UndecodablePixelData),
    ],
)
def test_what_one_image_breaks(tmp_path: Path, fault: Callable[[Dataset], None], error: type[AinodeError]) -> None:
    def change(image: Dataset, k: int) -> None:
        if k == 2:
            fault(image)

    with pytest.raises(error):
        load_volume(write(tmp_path, series(change=change)))


def compressed(syntax: str, frame: bytes) -> Callable[[Dataset, int], None]:
    def change(image: Dataset, k: int) -> None:
        image.file_meta.TransferSyntaxUID = syntax
        image.PixelData = encapsulate([frame])
        image["PixelData"].VR = "OB"

    return change


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (RLELossless, b"\x01\x00\x00\x00" * 16),
        (JPEG2000Lossless, b"\xff\x4f\xff\x51" + b"\x00" * 60),
        (RLELossless, b"\x00\x00"),
    ],
)
def test_rubbish_in_place_of_compressed_pixels(tmp_path: Path, syntax: str, frame: bytes) -> None:
    with pytest.raises(UndecodablePixelData):
        load_volume(write(tmp_path, series(change=compressed(syntax, frame))))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_compressed_image_that_claims_65535_rows(tmp_path: Path, syntax: str) -> None:
    def change(image: Dataset, k: int) -> None:
        compressed(syntax, b"\x00" * 200)(image, k)
        image.Rows = image.Columns = 65535

    with pytest.raises(UndecodablePixelData, match="frames of 65535 x 65535 need at least"):
        load_volume(write(tmp_path, series(change=change)))


def test_a_transfer_syntax_without_a_decoder(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImage, match="no decoder"):
        load_volume(write(tmp_path, series(change=compressed("1.2.840.10008.1.2.4.100", b"\x00" * 20))))


def test_rle_round_trip_and_its_truncation(tmp_path: Path) -> None:
    images = series()
    for image in images:
        image.compress(RLELossless)
    locations = write(tmp_path, images)
    np.testing.assert_array_equal(load_volume(locations).array, EXPECTED)
    cut = [ByteRange(at.path, 0, at.length - 20 if number == 2 else at.length) for number, at in enumerate(locations)]
    with pytest.raises(UndecodablePixelData):
        load_volume(cut)


def test_truncated_anywhere_is_a_named_error(tmp_path: Path) -> None:
    locations = write(tmp_path, series())
    for length in range(0, locations[1].length - 1, 7):
        cut = (locations[0], ByteRange(locations[1].path, 0, length), *locations[2:])
        with pytest.raises((UndecodablePixelData, NoPixelData, UnsupportedImage, MixedImages)):
            load_volume(cut)


def test_what_is_no_dicom_at_all(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(zlib.compress(b"not an image" * 50))
    with pytest.raises(UnsupportedImage, match="header of an image cannot be read"):
        load_volume([ByteRange(str(path), 0, path.stat().st_size)])


def test_an_image_gone_from_the_store(tmp_path: Path) -> None:
    with pytest.raises(ObjectMissing):
        load_volume([ByteRange(str(tmp_path / "gone.dcm"), 0, 100)])


def test_a_header_longer_than_the_first_reading(tmp_path: Path) -> None:
    def long_header(image: Dataset, k: int) -> None:
        image.add_new(0x00091010, "OB", b"\x00" * 200_000)
        image.add_new(0x00090010, "LO", "AINODE TESTS")

    locations = write(tmp_path, series(change=long_header))
    np.testing.assert_array_equal(load_volume(locations).array, EXPECTED)
    assert len(dcmread(locations[0].path)[0x00091010].value) == 200_000


def test_values_of_infinity_are_no_volume(tmp_path: Path) -> None:
    def huge(image: Dataset, k: int) -> None:
        image.RescaleSlope, image.RescaleIntercept = "1e38", 0

    with pytest.raises(UnsupportedImage, match="rescale slope"):
        load_volume(write(tmp_path, series(change=huge)))
