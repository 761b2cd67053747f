//! The inputs that each target starts from.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Map, Value};
use zip::CompressionMethod::{Deflated, Stored};

use crate::write;
use crate::{BETWEEN, samples};

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn texts(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.join(&BETWEEN)
}

/// The seeds of a target; none for a name that isn't one.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "checkpoint" => checkpoints(),
        "pickle" => vec![
            write::pickle(&samples::auto3dseg()),
            write::pickle(&samples::plans()),
            b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94.".to_vec(),
            b"\x80\x02(lq\x00ccollections\nOrderedDict\nq\x01)Rq\x02}q\x03b.".to_vec(),
        ],
        "safetensors" => vec![
            write::safetensors(&[("a", &[2, 1]), ("b", &[]), ("c", &[0, 3])]),
            write::safetensors(&[("model.0.conv.weight", &[2, 1, 3, 3, 3]), ("model.0.conv.bias", &[2])]),
        ],
        "nnunet" => {
            let all = |plans: Value, dataset: Value| {
                texts(&[text(&plans), text(&dataset), text(&samples::postprocessing())])
            };
            vec![
                all(samples::plans(), samples::dataset()),
                all(samples::plans(), samples::regions()),
                all(samples::old_plans(), samples::dataset()),
            ]
        }
        "monai" => {
            let metadata = text(&samples::metadata());
            let kinds = [(b'j', text(&samples::bundle())), (b'y', samples::YAML.as_bytes().to_vec())];
            let seed =
                |(kind, config): (u8, Vec<u8>)| [vec![kind], texts(&[config, metadata.clone()])].concat();
            kinds.map(seed).into()
        }
        "described" => vec![text(&samples::described())],
        "expression" => {
            // The first byte is the place in the config.
            let seed = |(place, expression): (u8, &str)| [&[place], expression.as_bytes()].concat();
            (b'0'..).zip(EXPRESSIONS).map(seed).collect()
        }
        "auto3dseg" => {
            vec![texts(&[text(&samples::auto3dseg()), samples::LABELS.as_bytes().to_vec()])]
        }
        "onnx" => vec![samples::onnx()],
        "nifti" => vec![nifti(348), nifti(540)],
        "image" => images(),
        "task" => vec![text(&samples::task())],
        _ => Vec::new(),
    }
}

const EXPRESSIONS: [&str; 14] = [
    "@network_def.to(@device)",
    "[1.5, 1.5, 1.5] if @highres else [3.0, 3.0, 3.0]",
    "@sizes[0] // 96",
    "len(@sizes) * 2 ** 3 % 5",
    "list(@other.keys())",
    "@other['channels'][-1]",
    "not not (1 < 2) and None is None",
    "lambda x: torch.where(x[[2]] > 0, 4, 0)",
    "monai.networks.nets.UNet(spatial_dims=3, **@network_def)",
    "'a' + \"b\" in ('ab', 'c')",
    "{'a': 1, **@other}",
    "-9223372036854775807 - 1.5e308 / 3",
    "[i for i in @sizes]",
    "@bundle_root + '/models/model.pt'",
];

fn checkpoints() -> Vec<Vec<u8>> {
    const TENSORS: &write::Tensors = &[("a.weight", &[2, 1, 3]), ("a.bias", &[2]), ("n", &[])];
    let beside = samples::members(samples::auto3dseg());
    vec![
        write::checkpoint(TENSORS, None, &Map::new(), Stored),
        write::checkpoint(TENSORS, Some("state_dict"), &beside, Stored),
        write::checkpoint(TENSORS, None, &Map::new(), Deflated),
        write::legacy(TENSORS),
    ]
}

/// A header of 2 × 2 × 2 voxels, with an sform and a qform, and the voxels.
fn nifti(size: usize) -> Vec<u8> {
    let mut file = vec![0; size + 4 + 16];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(size as i32).to_le_bytes());
    if size == 348 {
        [3_i16, 2, 2, 2, 1, 1, 1, 1]
            .iter()
            .enumerate()
            .for_each(|(n, size)| put(40 + 2 * n, &size.to_le_bytes()));
        put(70, &4_i16.to_le_bytes());
        put(72, &16_i16.to_le_bytes());
        let pixdim = [1.0_f32, 2.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0, 352.0, 1.0, 0.0];
        pixdim.iter().enumerate().for_each(|(n, value)| put(76 + 4 * n, &value.to_le_bytes()));
        put(123, &[2]);
        put(252, &1_i16.to_le_bytes());
        put(254, &1_i16.to_le_bytes());
        let rows = [[-2.0_f32, 0.0, 0.0, 5.0], [0.0, -2.0, 0.0, 6.0], [0.0, 0.0, 3.0, 7.0]];
        rows.as_flattened().iter().enumerate().for_each(|(n, value)| put(280 + 4 * n, &value.to_le_bytes()));
        put(344, b"n+1\0");
    } else {
        put(4, b"n+2\0\r\n\x1a\n");
        put(12, &4_i16.to_le_bytes());
        [3_i64, 2, 2, 2, 1, 1, 1, 1]
            .iter()
            .enumerate()
            .for_each(|(n, size)| put(16 + 8 * n, &size.to_le_bytes()));
        let pixdim = [1.0_f64, 2.0, 2.0, 3.0];
        pixdim.iter().enumerate().for_each(|(n, value)| put(104 + 8 * n, &value.to_le_bytes()));
        put(168, &544_i64.to_le_bytes());
        put(176, &1.0_f64.to_le_bytes());
        put(344, &1_i32.to_le_bytes());
        put(348, &1_i32.to_le_bytes());
        let rows = [[-2.0_f64, 0.0, 0.0, 5.0], [0.0, -2.0, 0.0, 6.0], [0.0, 0.0, 3.0, 7.0]];
        rows.as_flattened().iter().enumerate().for_each(|(n, value)| put(400 + 8 * n, &value.to_le_bytes()));
    }
    file
}

/// Images of the tool's formats; the first byte says which (`fuzz_targets/image.rs`).
fn images() -> Vec<Vec<u8>> {
    let voxels: Vec<u8> = (1..9_i16).flat_map(i16::to_le_bytes).collect();
    let gzip = |bytes: &[u8]| {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(bytes).expect("memory takes all");
        out.finish().expect("memory takes all")
    };
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&voxels).expect("memory takes all");
    let zlib = zlib.finish().expect("memory takes all");
    let meta = |more: &str| {
        format!(
            "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\nElementSpacing = 1 2 3\n\
             Offset = 1 2 3\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n{more}\nElementDataFile = LOCAL\n"
        )
    };
    let nrrd = |more: &str| {
        format!(
            "NRRD0004\n# comment\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n\
             space directions: (0,3,0) (2,0,0) (0,0,-4)\nspace origin: (1,2,3)\nendian: little\n{more}\n\n"
        )
    };
    [
        (b'n', nifti(348)),
        (b'n', nifti(540)),
        (b'z', gzip(&nifti(348))),
        (b'm', [meta("BinaryData = True").as_bytes(), &voxels].concat()),
        (b'm', [meta("CompressedData = True").as_bytes(), &zlib].concat()),
        (b'm', [meta("BinaryData = False").as_bytes(), b"1 2 3 4 5 6 7 8\n"].concat()),
        (b'r', [nrrd("encoding: raw").as_bytes(), &voxels].concat()),
        (b'r', [nrrd("encoding: gzip\nbyte skip: 0").as_bytes(), &gzip(&voxels)].concat()),
        (
            b'r',
            [nrrd("encoding: ascii\nkinds: domain domain domain").as_bytes(), b"1 2 3 4 5 6 7 8\n"].concat(),
        ),
    ]
    .map(|(kind, file)| [vec![kind], file].concat())
    .into()
}
