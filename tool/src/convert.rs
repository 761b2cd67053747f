//! `voxseg convert`: the same voxels in another file format.

use std::path::Path;

use crate::failure::Outcome;
use crate::image_file::{self, ImageFile};
use crate::output::Outputs;

/// Reads one file and writes it as another, with voxels, type and geometry kept.
pub fn convert(from: &Path, to: &Path) -> Outcome<()> {
    image_file::check_readable(from)?;
    let mut outputs = Outputs::new(image_file::files(from));
    image_file::open_output(&mut outputs, to)?;
    ImageFile::read(from)?.write_to(&mut outputs, to)?;
    outputs.commit()
}

#[cfg(test)]
mod tests {
    use voxseg::volume::DType;

    use super::*;
    use crate::image_file::tests::{Folder, example};

    #[test]
    fn the_file_that_is_read_is_never_written() {
        let folder = Folder::new("convert");
        let (header, raw, other) = (folder.file("a.mhd"), folder.file("a.raw"), folder.file("b.mhd"));
        example(DType::I16).write(&header).unwrap();
        std::fs::rename(&raw, folder.file("b.raw")).unwrap();
        let text = std::fs::read_to_string(&header).unwrap().replace("a.raw", "b.raw");
        std::fs::write(&header, text).unwrap();
        assert!(convert(&header, &header).unwrap_err().to_string().contains("that is read"));
        // Its voxels would go where the first one's are.
        assert!(convert(&header, &other).unwrap_err().to_string().contains("that is read"));
        assert_eq!(std::fs::read(folder.file("b.raw")).unwrap(), example(DType::I16).bytes);
        assert!(!other.exists());
        convert(&header, &folder.file("c.mhd")).unwrap();
        assert_eq!(ImageFile::read(&folder.file("c.mhd")).unwrap().bytes, example(DType::I16).bytes);
    }

    #[test]
    fn what_cannot_be_read_leaves_what_is_there() {
        let folder = Folder::new("convert-damaged");
        let (from, to) = (folder.file("a.nii"), folder.file("b.nii"));
        std::fs::write(&from, "nonsense").unwrap();
        std::fs::write(&to, "before").unwrap();
        assert!(convert(&from, &to).is_err());
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "before");
        assert_eq!(std::fs::read_dir(folder.file("")).unwrap().count(), 2);
    }
}
