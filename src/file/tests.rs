use std::path::PathBuf;
use std::time::Instant;

use super::*;

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("voxseg-file-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_read_up_to_a_limit() {
    let folder = Folder::new("limit");
    let path = folder.0.join("x");
    std::fs::write(&path, [7; 1000]).unwrap();
    assert_eq!(read(&path, 1000).unwrap(), [7; 1000]);
    let error = read(&path, 999).unwrap_err();
    assert!(matches!(&error, Error::Refused { file, .. } if file == "x"), "{error}");
    assert_eq!(&*Budget::default().read(&path, 1000).unwrap(), [7; 1000]);
    assert!(matches!(Budget::new(Some(500)).read(&path, 1000), Err(Error::Refused { .. })));
    assert!(matches!(read(&folder.0.join("y"), 1), Err(Error::Read { .. })));
    let error = read(&folder.0, 1).unwrap_err().to_string();
    assert!(error.contains("a folder, expected a file"), "{error}");
}

/// The system says that these have no bytes.
#[test]
#[cfg(target_os = "linux")]
fn files_may_be_longer_than_their_size() {
    let path = Path::new("/proc/self/status");
    assert!(read(path, 1 << 20).unwrap().starts_with(b"Name:"));
    assert!(matches!(read(path, 10), Err(Error::Refused { .. })));
}

#[test]
#[cfg(unix)]
fn nothing_but_files_is_opened() {
    let folder = Folder::new("special");
    let at = |name: &str| folder.0.join(name);
    let pipe = std::process::Command::new("mkfifo").arg(at("pipe")).status();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
    std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
    let started = Instant::now();
    for (name, what) in [("pipe", "a pipe"), ("socket", "a socket"), ("device", "a device"), ("loop", "")] {
        if name == "pipe" && !pipe.as_ref().is_ok_and(|status| status.success()) {
            continue;
        }
        let error = read(&at(name), 1000).unwrap_err();
        assert!(matches!(&error, Error::Read { path, .. } if *path == at(name)), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn what_is_dropped_goes_back() {
    let budget = Budget::new(Some(100));
    let held = budget.take("x", 60).unwrap();
    assert!(matches!(budget.take("x", 41), Err(Error::Refused { .. })));
    drop(held);
    budget.take("x", 100).unwrap().keep();
    assert!(budget.take("x", 1).is_err());
    budget.admit(1000);
    assert!(budget.take("x", 1).is_err(), "files add nothing to a limit that was given");
    let budget = Budget::default();
    budget.admit(1000);
    assert!(budget.take("x", budget::BASE_BYTES + 1000 * budget::BYTES_PER_BYTE).is_ok());
    assert!(budget.take("x", budget::BASE_BYTES + 1000 * budget::BYTES_PER_BYTE + 1).is_err());
    assert!(budget.take("x", u64::MAX).is_err());
}

#[test]
fn bytes_hold_their_part_until_the_last_clone_goes() {
    let budget = Budget::new(Some(10));
    let bytes = Bytes::held(vec![0; 10], budget.take("x", 10).unwrap());
    let clone = bytes.clone();
    drop(bytes);
    assert!(budget.take("x", 1).is_err());
    drop(clone);
    assert!(budget.take("x", 10).is_ok());
}
