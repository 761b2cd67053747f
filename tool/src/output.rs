//! Files that a command writes. They are opened before its work begins, beside their places under names of their own,
//! and come to their places when all of them are complete. On a failure they go, and what was there before stays.

use std::collections::BTreeSet;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::failure::{Failure, Outcome};

/// All that a command writes. Nothing of it comes to its identity before everything is on the disk.
#[derive(Default)]
pub struct Outputs {
    inputs: Vec<FileIdentity>,
    models: Vec<PathBuf>,
    files: Vec<Output>,
}

struct Output {
    /// The name that the caller knows.
    path: PathBuf,
    identity: FileIdentity,
    temporary: Temporary,
}

impl Outputs {
    /// Nothing yet. The files among `inputs` are never written to.
    pub fn new(inputs: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let inputs =
            inputs.into_iter().filter_map(|path| FileIdentity::of_file(path.as_ref()).ok()).collect();
        Outputs { inputs, ..Outputs::default() }
    }

    /// Nothing in these folders is ever replaced by [`Outputs::open_beside_models`].
    pub fn with_models(mut self, folders: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.models = folders.into_iter().filter_map(|path| path.as_ref().canonicalize().ok()).collect();
        self
    }

    /// Opens a file whose name could be one of a model's own.
    pub fn open_beside_models(&mut self, path: &Path) -> Outcome<()> {
        if let Ok(identity) = path.canonicalize()
            && self.models.iter().any(|folder| identity.starts_with(folder))
        {
            return Err(Failure::write(path, "it is there already, in the folder of a model that is read"));
        }
        self.open(path)
    }

    /// Opens a file, if it can be written: by its folder, and not over a file that is read or another output.
    pub fn open(&mut self, path: &Path) -> Outcome<()> {
        let failure = |reason: String| Failure::write(path, reason);
        let identity = FileIdentity::of_output(path).map_err(failure)?;
        if self.inputs.iter().any(|input| input.is_same(&identity)) {
            return Err(failure("it is a file that is read".into()));
        }
        if let Some(other) = self.files.iter().find(|other| other.identity.is_same(&identity)) {
            return Err(failure(format!("{} is written to the same file", other.path.display())));
        }
        let temporary = Temporary::beside(&identity).map_err(failure)?;
        self.files.push(Output { path: path.into(), identity, temporary });
        Ok(())
    }

    /// Fills a file that was opened.
    pub fn write(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
    ) -> Outcome<()> {
        let opened = self.files.iter().find(|output| output.path == path);
        let output = opened.ok_or_else(|| Failure::write(path, "it was not opened before"))?;
        let mut writer = BufWriter::with_capacity(1 << 16, &output.temporary.file);
        fill(&mut writer).and_then(|()| writer.flush()).map_err(|error| Failure::write(path, error))
    }

    /// Gives all files their names, once each of them is on the disk.
    pub fn commit(mut self) -> Outcome<()> {
        for output in &self.files {
            match output.temporary.file.sync_all() {
                // Some file systems don't know how.
                Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                    return Err(Failure::write(&output.path, error));
                }
                _ => {}
            }
        }
        for output in &mut self.files {
            let renamed = output.temporary.rename(&output.identity.path);
            renamed.map_err(|error| Failure::write(&output.path, error))?;
        }
        Ok(())
    }
}

/// Where a file is, whatever it is called.
struct FileIdentity {
    /// Its path without links.
    path: PathBuf,
    /// Device and number of the file, which hard links share.
    number: Option<(u64, u64)>,
    about: Option<Metadata>,
}

impl FileIdentity {
    fn of_file(path: &Path) -> std::io::Result<Self> {
        let about = std::fs::metadata(path)?;
        Ok(FileIdentity { path: path.canonicalize()?, number: number(&about), about: Some(about) })
    }

    /// The identity of a file that is to be written, if one can be.
    fn of_output(path: &Path) -> Result<Self, String> {
        match std::fs::metadata(path) {
            Ok(about) if about.is_dir() => Err("it is a folder".into()),
            Ok(about) if !about.is_file() => Err("it is a pipe or a device, expected a file".into()),
            Ok(_) => {
                // A file that may not be written is not replaced either.
                OpenOptions::new().write(true).open(path).map_err(|error| error.to_string())?;
                FileIdentity::of_file(path).map_err(|error| error.to_string())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if path.symlink_metadata().is_ok() {
                    return Err("it is a link to a file that doesn't exist".into());
                }
                let name = path.file_name().ok_or("it is no name of a file")?;
                let folder = match path.parent() {
                    Some(folder) if !folder.as_os_str().is_empty() => folder,
                    _ => Path::new("."),
                };
                let folder = folder.canonicalize().map_err(|_| "its folder doesn't exist")?;
                Ok(FileIdentity { path: folder.join(name), number: None, about: None })
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_same(&self, other: &FileIdentity) -> bool {
        self.path == other.path || self.number.is_some() && self.number == other.number
    }
}

#[cfg(unix)]
fn number(about: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// The temporary files that exist, for an end that comes from outside.
static EXISTING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn existing() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    EXISTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all temporary files, and keeps every thread from making more: for the end of the process.
pub fn discard() {
    let existing = existing();
    existing.iter().for_each(|path| drop(std::fs::remove_file(path)));
    std::mem::forget(existing);
}

/// A file that goes unless it is renamed.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    /// A new file in the folder of `identity`, with the permissions of the file that it shall replace.
    fn beside(identity: &FileIdentity) -> Result<Self, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut existing = existing();
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = identity.path.with_file_name(format!(".voxseg-{}-{count}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    existing.insert(path.clone());
                    if let Some(about) = &identity.about {
                        keep_owner(&file, about);
                        // Where that can't be, the file has those of a new one.
                        let _ = file.set_permissions(about.permissions());
                    }
                    return Ok(Temporary { path, file });
                }
                // Left behind by a process that had this one's number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("its folder takes no file: {error}")),
            }
        }
    }

    fn rename(&mut self, to: &Path) -> std::io::Result<()> {
        let mut existing = existing();
        std::fs::rename(&self.path, to)?;
        existing.remove(&self.path);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut existing = existing();
        if existing.remove(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Only a privileged user can give files away; for others they stay their own.
#[cfg(unix)]
fn keep_owner(file: &File, about: &Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    let _ = fchown(file, Some(about.uid()), Some(about.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::Folder;

    const NONE: [&str; 0] = [];

    fn names(folder: &Folder) -> Vec<String> {
        let entries = std::fs::read_dir(folder.file("")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn refused(inputs: &[&Path], path: &Path) -> String {
        Outputs::new(inputs).open(path).unwrap_err().to_string()
    }

    #[test]
    fn files_come_to_their_places_together_or_not_at_all() {
        let folder = Folder::new("outputs");
        let (old, new) = (folder.file("old"), folder.file("new"));
        std::fs::write(&old, "before").unwrap();
        let open = || {
            let mut outputs = Outputs::new(NONE);
            outputs.open(&old).unwrap();
            outputs.open(&new).unwrap();
            outputs.write(&old, |file| file.write_all(b"after")).unwrap();
            outputs
        };
        drop(open());
        assert_eq!(
            (names(&folder), std::fs::read_to_string(&old).unwrap()),
            (vec!["old".into()], "before".into())
        );
        let mut outputs = open();
        assert!(outputs.write(&folder.file("third"), |_| Ok(())).is_err());
        outputs.commit().unwrap();
        assert_eq!(names(&folder), ["new", "old"]);
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "after");
    }

    #[test]
    fn an_error_while_writing_leaves_what_was_there() {
        let folder = Folder::new("outputs-full");
        let path = folder.file("labels.nii");
        std::fs::write(&path, "before").unwrap();
        let mut outputs = Outputs::new(NONE);
        outputs.open(&path).unwrap();
        let full = || std::io::Error::from(ErrorKind::StorageFull);
        let failure = outputs.write(&path, |file| file.write_all(b"half").and(Err(full()))).unwrap_err();
        assert!(failure.to_string().contains("labels.nii"), "{failure}");
        drop(outputs);
        assert_eq!(
            (names(&folder), std::fs::read_to_string(&path).unwrap()),
            (vec!["labels.nii".into()], "before".into())
        );
    }

    /// A disk that is full says so when bytes leave the buffer, which may be at the end.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_leaves_nothing() {
        let folder = Folder::new("outputs-dev-full");
        let path = folder.file("labels.nii");
        let mut outputs = Outputs::new(NONE);
        outputs.open(&path).unwrap();
        outputs.files[0].temporary.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(outputs.write(&path, |file| file.write_all(b"few")).is_err());
        drop(outputs);
        assert!(names(&folder).is_empty());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = Folder::new("outputs-wrong");
        assert!(refused(&[], &folder.file("")).contains("folder"));
        assert!(refused(&[], &folder.file("no/such/labels.nii")).contains("doesn't exist"));
        #[cfg(unix)]
        {
            assert!(refused(&[], Path::new("/dev/full")).contains("device"));
            let link = folder.file("link");
            std::os::unix::fs::symlink("nowhere", &link).unwrap();
            assert!(refused(&[], &link).contains("link"));
        }
    }

    #[test]
    fn inputs_and_other_outputs_are_never_written() {
        let folder = Folder::new("outputs-same");
        let (image, other) = (folder.file("image.nii"), folder.file("other.nii"));
        std::fs::write(&image, "voxels").unwrap();
        let around = folder.file("").join("..").join(folder.file("").file_name().unwrap()).join("image.nii");
        let mut names = vec![image.clone(), around];
        #[cfg(unix)]
        {
            let (soft, hard) = (folder.file("soft.nii"), folder.file("hard.nii"));
            std::os::unix::fs::symlink(&image, &soft).unwrap();
            std::fs::hard_link(&image, &hard).unwrap();
            names.extend([soft, hard]);
        }
        for name in &names {
            assert!(refused(&[&image], name).contains("that is read"), "{}", name.display());
            let mut outputs = Outputs::new(NONE);
            outputs.open(name).unwrap();
            assert!(outputs.open(&image).unwrap_err().to_string().contains("same file"));
        }
        let mut outputs = Outputs::new([&image]);
        outputs.open(&other).unwrap();
        assert!(outputs.open(&other).unwrap_err().to_string().contains("same file"));
        assert_eq!(std::fs::read_to_string(&image).unwrap(), "voxels");
    }

    #[test]
    fn files_of_a_model_stay() {
        let folder = Folder::new("outputs-model");
        let plans = folder.file("plans.json");
        std::fs::write(&plans, "{}").unwrap();
        let mut outputs = Outputs::new(NONE).with_models([folder.file("")]);
        assert!(outputs.open_beside_models(&plans).unwrap_err().to_string().contains("model"));
        outputs.open_beside_models(&folder.file("report.json")).unwrap();
        outputs.open(&plans).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = Folder::new("outputs-permissions");
        let (path, link) = (folder.file("labels.nii"), folder.file("link.nii"));
        std::fs::write(&path, "before").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink("labels.nii", &link).unwrap();
        let mut outputs = Outputs::new(NONE);
        outputs.open(&link).unwrap();
        outputs.write(&link, |file| file.write_all(b"after")).unwrap();
        outputs.commit().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
}
