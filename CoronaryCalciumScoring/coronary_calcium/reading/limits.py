"""The sizes between which an image can be a CT of a heart; outside them it is refused before memory is taken."""

# A coronary tree spans 70 mm and more from the left main to the tip of the right coronary artery; a shorter scan cannot
# hold it. Scans made for calcium scoring are 120 to 160 mm long.
MINIMUM_EXTENT_MM = 60.0
MINIMUM_SLICES = 8
# The widest slice distance in the project's scope is 8 mm; routine scans end at 10 mm.
MAXIMUM_SLICE_SPACING_MM = 10.0
# Half a millimetre is the thinnest slice that CT detectors make; reconstructions at half that distance exist.
MINIMUM_SLICE_SPACING_MM = 0.2
# Pixels: 50 mm / 512 to 500 mm / 256 of clinical CT, with room.
MINIMUM_PIXEL_MM = 0.08
MAXIMUM_PIXEL_MM = 2.5
# A heart is about 120 mm wide. A smaller field cannot hold it.
MINIMUM_FIELD_MM = 100.0
MAXIMUM_SIDE = 4096
# 2 GiB as int16: 512 x 512 x 4096. No CT that one scan makes is larger.
MAXIMUM_VOXELS = 2**30
