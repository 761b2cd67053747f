//! What the tool prints and writes as JSON fits the schemas in docs/schemas.

use std::fs;
use std::path::Path;
use std::process::Command;

use voxseg_reference::schema::check;

#[test]
fn reports_and_descriptions_fit_their_schemas() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let header = "ObjectType = Image\nNDims = 3\nDimSize = 20 14 12\nElementSpacing = 3 3 3\n\
                  ElementType = MET_SHORT\nElementDataFile = ct.raw\n";
    fs::write(folder.join("ct.mhd"), header).unwrap();
    fs::write(folder.join("ct.raw"), vec![0; 2 * 20 * 14 * 12]).unwrap();
    let tool = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_voxseg"));
        let output = command.args(arguments).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres");
    let model = model.to_str().unwrap();
    tool(&["run", "--model", model, "--image", "ct.mhd", "--out", "labels.mhd", "--report", "report.json"]);
    let report = serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
    check("report", &report, "voxseg run");
    check("model", &serde_json::from_slice(&tool(&["info", model, "--json"])).unwrap(), "voxseg info");
}
