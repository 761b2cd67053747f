use super::*;
use crate::error::{Error, Result};
use crate::model::monai::config::value::Value;

/// References to a few items, up to a depth.
struct Items(usize, Vec<(String, Value)>);

impl Context for Items {
    fn reference(&mut self, id: &str) -> Result<Value> {
        match id {
            "spatial_size" => Ok(Value::List(vec![Value::Int(96); 3])),
            "highres" => Ok(Value::Bool(false)),
            "bundle_root" => Ok(Value::Text(".".into())),
            "labels::liver" => Ok(Value::Int(1)),
            "none" => Ok(Value::None),
            "names" => {
                Ok(Value::Dict(vec![("spleen".into(), Value::Int(1)), ("background".into(), Value::Int(0))]))
            }
            "network" => evaluate(&parse("monai.networks.nets.UNet(spatial_dims=3)", DEEPEST).unwrap(), self),
            "device" => Ok(Value::Runtime("torch.device".into())),
            _ => Err(self.refuse("no such item")),
        }
    }

    fn variables(&mut self) -> &mut Vec<(String, Value)> {
        &mut self.1
    }

    fn load(&mut self, path: &str) -> Result<Value> {
        Err(self.refuse(&format!("there is no {path}")))
    }

    fn enter(&mut self) -> Result<()> {
        self.0 += 1;
        if self.0 > 100 { Err(self.refuse("too deep")) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.0 -= 1;
    }

    fn id(&self) -> &str {
        "item"
    }

    fn source(&self) -> &str {
        "source"
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::unsupported(reason)
    }
}

fn value(text: &str) -> std::result::Result<Value, String> {
    evaluate(&parse(text, DEEPEST)?, &mut Items(0, Vec::new())).map_err(|error| error.to_string())
}

/// A value as Python's `repr` would write it.
fn repr(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}").replace('"', "'"),
        Value::Float(value) => format!("{value:?}"),
        Value::List(list) => format!("[{}]", list.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Dict(dict) => {
            let members: Vec<_> =
                dict.iter().map(|(key, value)| format!("'{key}': {}", repr(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Runtime(name) => name.clone(),
        other => other.describe(),
    }
}

#[test]
fn values_are_those_of_python() {
    let cases = [
        ("1 + 2 * 3 - 4", "3"),
        ("(1 + 2) * 3", "9"),
        ("-7 // 2", "-4"),
        ("7 // -2", "-4"),
        ("-7 % 3", "2"),
        ("7 % -3", "-2"),
        ("7 / 2", "3.5"),
        ("-3 + +2", "-1"),
        ("1.5 * 2", "3.0"),
        ("2 - 3 - 4", "-5"),
        ("1e-3 + .5", "0.501"),
        ("not True or True", "True"),
        ("not (1 > 2) and 3", "3"),
        ("not 1 == 2", "True"),
        ("0 or 'x'", "'x'"),
        ("None and 1", "None"),
        ("1 < 2", "True"),
        ("2 <= 1.5", "False"),
        ("1 == 1.0", "True"),
        ("'a' != 'b'", "True"),
        ("'a' in ['a', 'b']", "True"),
        ("'c' not in ['a', 'b']", "True"),
        ("'ell' in 'hello'", "True"),
        ("'spleen' in @names", "True"),
        ("@none is None", "True"),
        ("@highres is not None", "True"),
        ("[1.5, 1.5, 1.5] if @highres else [3.0, 3.0, 3.0]", "[3.0, 3.0, 3.0]"),
        ("'model.pt' if @highres else 'model_lowres.pt'", "'model_lowres.pt'"),
        ("1 if False else 2 if False else 3", "3"),
        ("@missing if @highres else 1", "1"),
        ("True or @missing", "True"),
        ("@bundle_root + '/models/' + \"model.pt\"", "'./models/model.pt'"),
        ("len(@spatial_size)", "3"),
        ("len(@names) + @labels::liver", "3"),
        ("@spatial_size + [1]", "[96, 96, 96, 1]"),
        ("@spatial_size[0]", "96"),
        ("[1, 2, 3][-1]", "3"),
        ("@names['spleen']", "1"),
        ("list(@names.keys())", "['spleen', 'background']"),
        ("list(@names.values())", "[1, 0]"),
        ("list(@names)", "['spleen', 'background']"),
        ("{'a': 1, 'b': [2,], 'a': 3,}", "{'a': 3, 'b': [2]}"),
        ("()", "[]"),
        ("(1,)", "[1]"),
        ("(1)", "1"),
        ("(1, 2)", "[1, 2]"),
        ("[]", "[]"),
        ("int(2.9)", "2"),
        ("int(-2.9)", "-2"),
        ("float(3)", "3.0"),
        ("str(0)", "'0'"),
        ("bool([])", "False"),
        ("'it\\'s\\n'", "'it's\\n'"),
        ("torch.float32", "torch.float32"),
        ("np.float32", "numpy.float32"),
        ("torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')", "torch.device"),
        ("monai.utils.CommonKeys.IMAGE", "'image'"),
        ("copy.deepcopy(@names)", "{'spleen': 1, 'background': 0}"),
        ("list(range(2, 5)) + [9]", "[2, 3, 4, 9]"),
        ("[i + 1 for i in range(3)]", "[1, 2, 3]"),
        ("[[i, j] for j in [i for i in [7]]] if False else [i for i in []]", "[]"),
        ("list(set([i+1 for i in range(6)]) - set([5, 2, 2]))", "[1, 3, 4, 6]"),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text).map(|value| repr(&value)).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn calls_of_monai_create_objects() {
    for text in ["@network", "@network.to(@device)", "@network.to(device)", "@network.eval().to('cpu')"] {
        let result = value(text);
        if text.contains("(device)") {
            assert!(result.unwrap_err().contains("`device` is outside"));
            continue;
        }
        let Ok(Value::Component(component)) = result else { panic!("{text}: {result:?}") };
        assert_eq!(component.target, "monai.networks.nets.UNet");
        assert_eq!(component.name(), "UNet");
        assert_eq!(component.arguments, [("spatial_dims".to_owned(), Value::Int(3))]);
    }
    let Ok(Value::Component(component)) = value("monai.f(a=1, **@names, spleen=2)") else { panic!() };
    let arguments: Vec<String> =
        component.arguments.iter().map(|(name, value)| format!("{name}={}", repr(value))).collect();
    assert_eq!(arguments, ["a=1", "spleen=2", "background=0"]);
}

#[test]
fn lambdas_are_kept_as_trees() {
    let Ok(Value::Lambda(lambda)) = value("lambda x: torch.nan_to_num(x, nan=255)") else { panic!() };
    assert_eq!(lambda.parameter, "x");
    let callee = Expression::Name("torch.nan_to_num".into()).into();
    let keywords = vec![(Some("nan".into()), Expression::Int(255))];
    let expected = Expression::Call { callee, positional: vec![Expression::Name("x".into())], keywords };
    assert_eq!(lambda.body, expected);
}

#[test]
fn what_is_not_evaluated_is_named() {
    let refused = |text: &str, part: &str| {
        let error = value(text).map(|value| repr(&value)).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    };
    refused("torch.load('x')", "there is no x");
    refused("os.system('x')", "`os.system` is outside");
    refused("__import__('os')", "`__import__` is outside");
    refused("open('x').read()", "`open` is outside");
    refused("import os", "`os` is unexpected");
    refused("@network.__class__", "`__class__` is outside");
    refused("@network.half()", "`half` is outside");
    refused("@network.to(torch.float16)", "`torch.float16`, expected a device");
    refused("@missing", "no such item");
    refused("[i for i in range(5000)]", "`range` of more than 4096 numbers");
    refused("[i for i in 3]", "`for` in 3");
    refused("[j for i in [1]]", "`j` is outside");
    refused("[i for i in [1]] + i", "`i` is outside");
    refused("[i for i in [1] if i]", "expected `]`");
    refused("range(1, 2, 3)", "other than one or two");
    refused("set(['a'])", "`set` of a list of 1");
    refused("[0] * 1000000000", "Multiply of a list of 1 and 1000000000");
    refused("'a' * 3", "Multiply");
    refused("2 ** 100", "`**` is unexpected");
    refused("9223372036854775807 + 1", "Add of");
    refused("99999999999999999999", "the number");
    refused("1e999", "the number");
    refused("1 / 0", "Divide");
    refused("1 // 0", "FloorDivide");
    refused("1 % 0", "Modulo");
    refused("1 < 2 < 3", "comparisons in a row");
    refused("1 < 'a'", "Less of");
    refused("True == 1", "Equal of");
    refused("[1, 2][2]", "no element 2");
    refused("[1][-9223372036854775807]", "no element");
    refused("@names['liver']", "no element text \"liver\"");
    refused("'a' 'b'", "the text \"b\" is unexpected");
    refused("'''a'''", "is unexpected");
    refused("'a@b'", "`@` in a text");
    refused("f'{x}'", "unexpected");
    refused("'a", "without its end");
    refused("'\\x41'", "escape");
    refused("0x10", "the number");
    refused("01", "the number");
    refused("1j", "the number");
    refused("x := 1", "unexpected");
    refused("a; b", "`;` is outside");
    refused("", "ends too early");
    refused("1 +", "ends too early");
    refused("(1, 2", "ends too early");
    refused("1 2", "`2` is unexpected");
    refused("lambda: 1", "unexpected");
    refused("lambda x: @names", "refers to another item");
    refused("monai.f(1)", "arguments without names");
    refused("monai.f(**1)", "unpacks 1");
    refused("len(1)", "`len` of 1");
    refused("len()", "`len` is outside");
    refused("-'a'", "wrong type");
    refused("{[1]: 2}", "neither text nor number");
    refused("größe", "`größe` is outside");
    refused("\u{200b}", "outside");
}

#[test]
fn depth_and_size_are_bounded() {
    let refused = |text: String, part: &str| {
        let error = value(&text).map(|value| repr(&value)).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    refused("(".repeat(400), "levels");
    refused("-".repeat(500), "levels");
    refused("not ".repeat(500), "levels");
    refused("1 if 1 else ".repeat(100), "levels");
    refused("lambda x: ".repeat(100), "levels");
    refused("x".repeat(5000), "bytes");
    refused("1+".repeat(1000), "tokens");
    refused(vec!["1"; 200].join("+"), "levels");
    refused(format!("x{}", "[0]".repeat(150)), "levels");
}
