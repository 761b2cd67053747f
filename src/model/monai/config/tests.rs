use serde_json::json;

use super::*;

mod hostile;

/// Files of a bundle, of which JSON values are written as such.
fn files(list: &[(&str, &str)]) -> Files {
    Files::memory(
        list.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec().into())).collect(),
    )
}

fn config(root: &Raw) -> Config {
    Config::read(&files(&[("x.json", &root.to_string())]), &["x.json"]).unwrap()
}

/// What an item of a config is, with objects as `{"_target_", "_id_", ...}`.
fn plain(value: &Value) -> Raw {
    match value {
        Value::None => Raw::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::List(list) => list.iter().map(plain).collect(),
        Value::Dict(dict) => {
            Raw::Object(dict.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::Component(component) => {
            let mut object = Map::new();
            object.insert("_target_".into(), json!(component.target));
            object.insert("_id_".into(), json!(component.id));
            object.extend(component.arguments.iter().map(|(key, value)| (key.clone(), plain(value))));
            Raw::Object(object)
        }
        Value::Lambda(lambda) => json!(lambda.source),
        Value::Runtime(name) => json!(name),
        Value::Unsupported(what) => json!(what),
    }
}

fn get(config: &Config, id: &str) -> Raw {
    plain(&config.get(id).unwrap())
}

fn error(config: &Config, id: &str) -> String {
    config.get(id).unwrap_err().to_string()
}

#[test]
fn references_lead_to_values() {
    let config = config(&json!({
        "a": {"b": [1, {"c": 2.5}], "nested": "@a::b::1"},
        "old": "@a#b#0",
        "list": ["@old", "@a::nested", "me@example.org", "@a b"],
        "B": {"key": "@::::old", "v1": 2, "v2": "@::v1", "v3": [3, 4, "@::1"], "v4": "$@::v1 + @::v3::0"},
    }));
    assert_eq!(get(&config, "a::b::1::c"), json!(2.5));
    assert_eq!(get(&config, "a#b#0"), json!(1));
    assert_eq!(get(&config, "list"), json!([1, {"c": 2.5}, "me@example.org", "@a b"]));
    assert_eq!(get(&config, "B"), json!({"key": 1, "v1": 2, "v2": 2, "v3": [3, 4, 4], "v4": 5}));
}

#[test]
fn objects_have_their_arguments_and_ids() {
    let config = config(&json!({
        "keys": "image",
        "off": "$not @on",
        "on": true,
        "load": {"_target_": "LoadImaged", "keys": "@keys", "_desc_": "x", "_requires_": "$os.remove('x')"},
        "chain": {"_target_": "monai.transforms.Compose", "transforms": [
            "@load",
            {"_target_": "A", "_disabled_": true},
            {"_target_": "B", "_disabled_": "@off", "x": {"_target_": "C", "_disabled_": " True "}},
            {"_target_": "D", "_disabled_": "$@on"},
        ]},
        "function": {"_target_": "torch.sigmoid", "_mode_": "callable"},
    }));
    let expected = json!({"_target_": "monai.transforms.Compose", "_id_": "chain", "transforms": [
        {"_target_": "LoadImaged", "_id_": "load", "keys": "image"},
        {"_target_": "B", "_id_": "chain::transforms::2"},
    ]});
    assert_eq!(get(&config, "chain"), expected);
    let Value::Component(function) = config.get("function").unwrap() else { panic!() };
    assert!(function.callable);
}

#[test]
fn macros_copy_items_of_this_file_and_others() {
    let list = [
        (
            "configs/a.json",
            r#"{"x": "%y::0", "y": [{"p": 1, "q": "@::p", "r": "@n"}], "n": 7, "p": 8,
            "f": "%configs/b.yaml::net", "whole": "%./configs/b.yaml", "part": "@f::channels::1",
            "gone": "%configs/c.json::net", "away": "%../c.json::x"}"#,
        ),
        ("configs/b.yaml", "net:\n  _target_: UNet\n  channels: [16, 32]\n  n: '@n'\n"),
    ];
    let config = Config::read(&files(&list), &["configs/a.json"]).unwrap();
    assert_eq!(get(&config, "x"), json!({"p": 1, "q": 1, "r": 7}));
    assert_eq!(get(&config, "x::q"), json!(1));
    assert_eq!(get(&config, "f"), json!({"_target_": "UNet", "_id_": "f", "channels": [16, 32], "n": 7}));
    assert_eq!(get(&config, "whole")["net"]["_id_"], "whole::net");
    assert_eq!(get(&config, "part"), json!(32));
    assert!(error(&config, "gone").contains("`gone`: `%configs/c.json::net`: there is no such config"));
    assert!(error(&config, "away").contains("there is no such config"));
}

#[test]
fn later_files_replace_and_add() {
    let list = [
        (
            "a.json",
            r#"{"list": [1], "map": {"x": 1, "y": 2}, "net": {"_target_": "UNet", "channels": [8, 16]}}"#,
        ),
        ("b.yaml", "+list: [2]\n+map: {y: 3}\n'net::channels::0': 4\n'net#norm': batch\n+new: [5]\n"),
    ];
    let config = Config::read(&files(&list), &["a.json", "b.yaml"]).unwrap();
    assert_eq!(get(&config, "list"), json!([1, 2]));
    assert_eq!(get(&config, "map"), json!({"x": 1, "y": 3}));
    assert_eq!(get(&config, "new"), json!([5]));
    let net = json!({"_target_": "UNet", "_id_": "net", "channels": [4, 16], "norm": "batch"});
    assert_eq!(get(&config, "net"), net);
    let wrong = |text: &str, part: &str| {
        let list = [list[0], ("b.json", text)];
        let error = Config::read(&files(&list), &["a.json", "b.json"]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    wrong(r#"{"+list": 1}"#, "b.json: `+list`: only mappings and lists");
    wrong(r#"{"no::x": 1}"#, "there is no item `no`");
    wrong(r#"{"list::7": 1}"#, "no such element");
    wrong(r#"{"": 1}"#, "empty id");
    wrong("[]", "not a mapping");
    wrong("{", "expected a key");
}

#[test]
fn what_is_not_asked_for_may_be_anything() {
    let config = config(&json!({
        "imports": ["$import glob", "$from os import *"],
        "files": "$list(glob.glob('*'))",
        "circle": "@circle",
        "lost": "@nowhere",
        "macro": "%nowhere.json::x",
        "net": {"_target_": "UNet"},
    }));
    assert_eq!(get(&config, "net"), json!({"_target_": "UNet", "_id_": "net"}));
    let expected = "unsupported model: x.json: `files` is `$list(glob.glob('*'))`: `glob.glob` is outside \
                    what is evaluated";
    assert_eq!(error(&config, "files"), expected);
    assert!(error(&config, "imports").contains("`imports::0` is `$import glob`"));
    assert_eq!(error(&config, "circle"), "malformed x.json: `circle`: it refers to itself: circle -> circle");
    assert_eq!(error(&config, "lost"), "malformed x.json: `lost`: there is no item `nowhere`");
    assert_eq!(error(&config, "nothing"), "malformed x.json: `nothing`: there is no item `nothing`");
}

#[test]
fn arguments_that_cannot_be_evaluated_wait_until_they_are_needed() {
    let config = config(&json!({
        "a": {"_target_": "Save", "output_dir": "@b", "c": "$@d + 1", "e": [{"_target_": "X", "f": "$g()"}]},
        "b": ["$os.getcwd()"], "d": 1, "h": ["$os.getcwd()"],
    }));
    let Value::Component(saved) = config.get("a").unwrap() else { panic!() };
    let what = "x.json: `b::0` is `$os.getcwd()`: `os.getcwd` is outside what is evaluated";
    assert_eq!(saved.argument("output_dir"), Some(&Value::Unsupported(what.into())));
    assert_eq!(saved.argument("c"), Some(&Value::Int(2)));
    assert!(saved.argument("e").unwrap().unsupported().unwrap().contains("`$g()`"));
    assert!(config.get("h").is_err());
}

#[test]
fn objects_without_a_name_or_in_unknown_modes_are_refused() {
    let config = config(&json!({
        "a": {"_target_": 1}, "b": {"_target_": "X", "_mode_": "debug"}, "c": {"_target_": "$@d"}, "d": "Y",
    }));
    assert!(error(&config, "a").contains("`_target_` is 1, expected a name"));
    assert!(error(&config, "b").contains("`_mode_` is text \"debug\", expected default or callable"));
    assert_eq!(get(&config, "c")["_target_"], "Y");
}
