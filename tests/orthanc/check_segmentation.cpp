// DCMTK's own reader of Segmentation objects takes the file, and what it reads is printed and written:
//
//     check_segmentation FILE COLUMNS ROWS SLICES FIRST_Z STEP_Z OUT.raw
//
// OUT gets the number of the segment that each voxel belongs to, columns fastest; the output has a line for each
// segment, "number name". Slices follow from the frames' positions.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmfg/fgplanpo.h>
#include <dcmtk/dcmfg/fgseg.h>
#include <dcmtk/dcmiod/iodutil.h>
#include <dcmtk/dcmseg/segdoc.h>
#include <dcmtk/dcmseg/segment.h>
#include <dcmtk/dcmseg/segutils.h>

#define EXPECT(truth)                                                                                        \
    do {                                                                                                     \
        if (!(truth)) {                                                                                      \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #truth);                       \
            std::exit(1);                                                                                    \
        }                                                                                                    \
    } while (0)

int main(int argc, char **argv) {
    EXPECT(argc == 8);
    const std::size_t columns = std::strtoul(argv[2], nullptr, 10), rows = std::strtoul(argv[3], nullptr, 10),
                      slices = std::strtoul(argv[4], nullptr, 10);
    const double first = std::atof(argv[5]), step = std::atof(argv[6]);

    DcmSegmentation *read = nullptr;
    const OFCondition outcome = DcmSegmentation::loadFile(argv[1], read);
    if (outcome.bad()) {
        std::fprintf(stderr, "%s\n", outcome.text());
        return 1;
    }
    EXPECT(read->getSegmentationType() == DcmSegTypes::ST_BINARY);
    EXPECT(read->getFunctionalGroups().check());
    DcmIODImage<IODImagePixelModule<Uint8>> &image = *read;
    Uint16 found_rows = 0, found_columns = 0;
    EXPECT(image.getImagePixel().getRows(found_rows).good() && found_rows == rows);
    EXPECT(image.getImagePixel().getColumns(found_columns).good() && found_columns == columns);

    for (std::size_t number = 1; number <= read->getNumberOfSegments(); number++) {
        OFString name;
        EXPECT(read->getSegment(static_cast<unsigned>(number))->getSegmentLabel(name).good());
        std::printf("%zu %s\n", number, name.c_str());
    }
    std::vector<char> labels(columns * rows * slices);
    for (std::size_t frame = 0; frame < read->getNumberOfFrames(); frame++) {
        auto &groups = read->getFunctionalGroups();
        OFBool shared = OFFalse;
        auto *place = OFstatic_cast(FGPlanePosPatient *, groups.get(static_cast<Uint32>(frame),
                                                                    DcmFGTypes::EFG_PLANEPOSPATIENT, shared));
        auto *belongs = OFstatic_cast(
            FGSegmentation *, groups.get(static_cast<Uint32>(frame), DcmFGTypes::EFG_SEGMENTATION, shared));
        Float64 x = 0, y = 0, z = 0;
        Uint16 number = 0;
        EXPECT(place && place->getImagePositionPatient(x, y, z).good());
        EXPECT(belongs && belongs->getReferencedSegmentNumber(number).good());
        const double slice = (z - first) / step;
        const auto k = static_cast<std::size_t>(std::lround(slice));
        EXPECT(std::fabs(slice - std::round(slice)) < 1e-3 && k < slices);
        const DcmIODTypes::Frame *bits = read->getFrame(frame);
        DcmIODTypes::Frame *bytes = DcmSegUtils::unpackBinaryFrame(bits, found_rows, found_columns);
        EXPECT(bytes && bytes->length == rows * columns);
        for (std::size_t i = 0; i < rows * columns; i++) {
            if (bytes->pixData[i]) {
                char &label = labels[k * rows * columns + i];
                EXPECT(label == 0);
                label = static_cast<char>(number);
            }
        }
        delete bytes;
    }
    delete read;
    std::ofstream out(argv[7], std::ios::binary);
    out.write(labels.data(), static_cast<std::streamsize>(labels.size()));
    EXPECT(out.flush());
    return 0;
}
