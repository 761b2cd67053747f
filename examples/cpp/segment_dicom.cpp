// A DICOM series in, a label map out: segment_dicom MODEL DICOM_FOLDER OUT [SERIES_UID]
//
// ITK reads the slices of one series, sorts them by position and applies their rescale slope and intercept. voxseg
// looks at ITK's own buffer and writes into another of ITK's, on the same grid; nothing is copied in between. OUT is
// what ITK writes by its ending: .nii.gz, .mha, .nrrd.

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

#include <itkGDCMImageIO.h>
#include <itkGDCMSeriesFileNames.h>
#include <itkImageFileWriter.h>
#include <itkImageSeriesReader.h>
#include <itkMetaDataObject.h>

#include <voxseg_itk.hpp>

using Image = itk::Image<std::int16_t, 3>;
using Labels = itk::Image<std::uint8_t, 3>;

/** The files of one series, sorted along it. */
static std::vector<std::string> slices(const std::string &folder, const std::string &wanted) {
    auto names = itk::GDCMSeriesFileNames::New();
    names->SetUseSeriesDetails(false);
    names->SetDirectory(folder);
    const auto &series = names->GetSeriesUIDs();
    if (series.empty()) {
        throw std::runtime_error(folder + ": no DICOM images");
    }
    if (series.size() > 1 && wanted.empty()) {
        std::string list;
        for (const auto &uid : series) {
            list += "\n  " + uid;
        }
        throw std::runtime_error(folder + ": several series, name one:" + list);
    }
    auto files = names->GetFileNames(wanted.empty() ? series.front() : wanted);
    if (files.size() < 2) {
        throw std::runtime_error(folder + ": expected a series of two slices or more, found " +
                                 std::to_string(files.size()));
    }
    return files;
}

static Image::Pointer read(const std::vector<std::string> &files) {
    auto reader = itk::ImageSeriesReader<Image>::New();
    reader->SetImageIO(itk::GDCMImageIO::New());
    reader->SetFileNames(files);
    reader->Update();
    // ITK takes the mean distance of slices; where one is missing, or the table was tilted, the grid would be wrong.
    double deviation = 0;
    const auto &found = reader->GetOutput()->GetMetaDataDictionary();
    itk::ExposeMetaData<double>(found, "ITK_non_uniform_sampling_deviation", deviation);
    if (deviation > 0.01 * reader->GetOutput()->GetSpacing()[2]) {
        throw std::runtime_error("the slices don't lie at equal distances: off by " +
                                 std::to_string(deviation) + " mm");
    }
    return reader->GetOutput();
}

int main(int argc, char **argv) try {
    if (argc != 4 && argc != 5) {
        std::cerr << "usage: segment_dicom MODEL DICOM_FOLDER OUT [SERIES_UID]\n";
        return 1;
    }
    const auto image = read(slices(argv[2], argc == 5 ? argv[4] : ""));
    const auto labels = voxseg::labels_like<Labels::PixelType>(*image);

    const auto model = voxseg::Model::open(argv[1]);
    voxseg::Plan plan(model);
    voxseg::RunOptions options;
    options.progress = [](const voxseg::Progress &now) {
        std::cerr << "\r" << static_cast<int>(100 * now.fraction) << " % " << (now.fraction < 1 ? "" : "\n");
        return true;
    };
    const auto report = plan.segment(voxseg::view(*image), voxseg::label_view(*labels), options);

    auto writer = itk::ImageFileWriter<Labels>::New();
    writer->SetInput(labels);
    writer->SetFileName(argv[3]);
    writer->Update();

    std::map<std::uint32_t, std::uint64_t> voxels;
    const auto *first = labels->GetBufferPointer();
    for (std::uint64_t i = 0; i < report.voxels; i++) {
        voxels[first[i]]++;
    }
    const auto &spacing = image->GetSpacing();
    for (const auto &label : model.labels()) {
        if (label.value != 0 && voxels.count(label.value)) {
            const double millilitres =
                static_cast<double>(voxels[label.value]) * spacing[0] * spacing[1] * spacing[2] / 1000;
            std::printf("%5u  %-24s %10.1f mL\n", label.value, label.name.c_str(), millilitres);
        }
    }
    std::printf("%llu tiles in %.3f s\n", static_cast<unsigned long long>(report.tiles),
                report.total_seconds);
    return 0;
} catch (const voxseg::Error &error) {
    std::cerr << "segment_dicom: " << error.what() << "\n";
    return error.band();
} catch (const std::exception &error) { // ITK's exceptions too
    std::cerr << "segment_dicom: " << error.what() << "\n";
    return 1;
}
