// A DICOM series as .mhd with raw int16 voxels, slice by slice in the order of their positions: what examples/cpp/
// segment_raw reads, made without voxseg.
//
//     dicom_to_raw DICOM_FOLDER OUT.mhd

#include <itkGDCMImageIO.h>
#include <itkGDCMSeriesFileNames.h>
#include <itkImageFileWriter.h>
#include <itkImageSeriesReader.h>

int main(int argc, char **argv) {
    if (argc != 3) {
        return 1;
    }
    using Image = itk::Image<short, 3>;
    auto names = itk::GDCMSeriesFileNames::New();
    names->SetDirectory(argv[1]);
    auto reader = itk::ImageSeriesReader<Image>::New();
    reader->SetImageIO(itk::GDCMImageIO::New());
    reader->SetFileNames(names->GetInputFileNames());
    auto writer = itk::ImageFileWriter<Image>::New();
    writer->SetInput(reader->GetOutput());
    writer->SetFileName(argv[2]);
    writer->Update();
    return 0;
}
