//! Configs made to cost time or memory: each is an error that says what is wrong.

use super::*;

/// Items `a0` to `a<count>`, each made of the one before.
fn chain(first: Raw, count: usize, next: impl Fn(String) -> Raw) -> Config {
    let mut root = Map::from_iter([("a0".to_owned(), first)]);
    for index in 1..=count {
        root.insert(format!("a{index}"), next(format!("a{}", index - 1)));
    }
    config(&Raw::Object(root))
}

#[test]
fn growth_by_references_is_bounded() {
    let lists = chain(json!([1, 2]), 12, |id| json!(vec![format!("@{id}"); 4]));
    assert!(error(&lists, "a12").contains("stands for more than 262144 values"));
    assert!(lists.get("a6").is_ok());
    let texts = chain(json!("0123456789".repeat(1000)), 8, |id| json!(format!("$@{id} + @{id}")));
    assert!(error(&texts, "a8").contains("stands for more than"));
    let macros = chain(json!([1, 2]), 20, |id| json!([format!("%{id}"), format!("%{id}")]));
    assert!(error(&macros, "a20").contains("stands for more than"));
    let dicts = chain(json!({"x": 1}), 8, |id| json!(format!("$[{}]", vec![format!("@{id}"); 40].join(","))));
    assert!(error(&dicts, "a8").contains("stands for more than"));
}

#[test]
fn long_chains_are_bounded() {
    let references = chain(json!(1), 1000, |id| json!(format!("@{id}")));
    assert!(error(&references, "a1000").contains("more than 32 values within each other"));
    assert_eq!(get(&references, "a25"), json!(1));
    let lists = chain(json!(1), 1000, |id| json!([format!("@{id}")]));
    assert!(error(&lists, "a1000").contains("within each other"));
    let macros = chain(json!(1), 100, |id| json!(format!("%{id}")));
    assert!(error(&macros, "a100").contains("more than 16 macros"));
}

#[test]
fn circles_are_found() {
    let config = config(&json!({
        "a": ["@b"], "b": {"x": "$@c + 1"}, "c": {"_target_": "X", "y": "@a"},
        "own": {"x": "@own"}, "m": "%m", "n": "%n::x", "p": {"x": "%q::x"}, "q": {"x": "%p::x"},
        "inner": {"x": "@inner::y", "y": 1},
    }));
    assert!(error(&config, "a").contains("it refers to itself: a -> b -> c -> a"));
    assert!(error(&config, "own").contains("refers to itself"));
    assert!(error(&config, "own::x").contains("refers to itself"));
    for id in ["m", "n", "p", "q"] {
        assert!(error(&config, id).contains("more than 16 macros"));
    }
    assert_eq!(get(&config, "inner"), json!({"x": 1, "y": 1}));
}

#[test]
fn sizes_and_depths_of_files_are_bounded() {
    let read = |name: &str, text: &str| Config::read(&files(&[(name, text)]), &[name]).map(drop);
    let refused = |name: &str, text: &str, part: &str| {
        let error = read(name, text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(LARGEST));
    refused("a.json", &large, "the limit is 262144");
    refused("a.json", &"[".repeat(100_000), "within each other");
    refused("a.yaml", &"[".repeat(100_000), "");
    refused("a.yaml", &"? ".repeat(100_000), "");
    refused("a.json", "{\"a\": nan}", "expected a value");
    refused("a.yaml", "\u{0}", "");
    let deep = format!("{{\"{}\": 1}}", vec!["a"; 70].join("::"));
    refused("a.json", &deep, "70 parts");
}

#[test]
fn ids_of_any_letters_are_only_missing() {
    let config = config(&json!({"größe": {"👩‍⚕️": 1}, "a": "@größe", "b": "$@größe['👩‍⚕️']", "c": "@b::"}));
    assert_eq!(get(&config, "a"), json!({"👩‍⚕️": 1}));
    assert_eq!(get(&config, "b"), json!(1));
    assert!(error(&config, "c").contains("there is no item `b::`"));
    assert!(config.get("").is_err() && config.get("::").is_err());
    let long = "ß".repeat(100_000);
    assert!(error(&config, &long).len() < 500);
}

/// Tells a process that it is the one with little stack.
const CASE: &str = "VOXSEG_STACK_CASE";

/// Whatever is nested as deeply as it may be, or deeper, needs less stack than the smallest threads have.
#[test]
fn little_stack_is_enough() {
    // In a process of its own, since one that overflows ends.
    if std::env::var_os(CASE).is_none() {
        let name = "model::monai::config::tests::hostile::little_stack_is_enough";
        let own = std::env::current_exe().unwrap();
        let output = std::process::Command::new(own).args(["--exact", name]).env(CASE, "").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let wrapped = |before: &str, middle: &str, after: &str, count: usize| {
        format!("${}{middle}{}", before.repeat(count), after.repeat(count))
    };
    let mut configs = Vec::new();
    for count in [8, 10, 15, 20, 23, 29, 31, 32, 100, 250] {
        let nested = [
            wrapped("int(", "1", ")", count),
            wrapped("-", "1", "", count),
            wrapped("not ", "1", "", count),
            wrapped("[", "1", "]", count),
            wrapped("{'a': ", "1", "}", count),
            wrapped("monai.X(a=", "1", ")", count),
            wrapped("(1 + ", "1", ")", count),
            wrapped("1 if 1 else (", "1", ")", count),
            wrapped("(", "@p", ")['a']", count),
            wrapped("", "1", " + 1", count),
            wrapped("", "monai.X()", ".eval()", count),
            wrapped("lambda x: ", "1", "", count),
        ];
        configs.extend(nested.map(|text| config(&json!({"z": text, "p": {"a": {"a": 1}}}))));
        type Next = fn(String) -> Raw;
        let chains: [Next; 7] = [
            |id| json!(format!("@{id}")),
            |id| json!(format!("%{id}")),
            |id| json!([format!("@{id}")]),
            |id| json!({"x": {"y": format!("@{id}")}}),
            |id| json!({"_target_": "X", "y": format!("@{id}")}),
            |id| json!(format!("$int(@{id} + 1) * 2")),
            |id| json!(format!("$monai.X(a=[{{'a': @{id}}}])")),
        ];
        for next in chains {
            let mut chain = chain(json!(1), count, next);
            chain.set("z", json!(format!("@a{count}")));
            configs.push(chain);
        }
    }
    let resolve = move || {
        let resolved = configs.iter().filter(|config| {
            let Ok(value) = config.get("z") else { return false };
            let _ = (value.clone(), value.unsupported(), crate::model::monai::json(&value, "z"));
            true
        });
        resolved.count()
    };
    let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(resolve).unwrap();
    assert!(thread.join().unwrap() > 15);
}
