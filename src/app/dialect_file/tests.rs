//! Files that are right, and files each wrong in one way.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::base::pan::Secrecy;
use crate::iso8583::spec::{
    Charset, Class, CompositeSpec, Counts, Extent, FrameLength, HeaderKind, LengthWire, Side,
    Unknown, Wire,
};

#[test]
fn every_shipped_file_loads() {
    assert!(shipped_names().is_sorted());
    for name in shipped_names() {
        let spec = load(name, None).unwrap_or_else(|mistakes| panic!("{}", listed(&mistakes)));
        assert_eq!(spec.name, name);
        assert!(!spec.fields.is_empty() && !spec.match_keys.is_empty(), "{name}");
    }
    assert_eq!(shipped_names().count(), 33);
}

#[test]
fn every_file_in_the_folder_is_shipped() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dialects");
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(embedded(stem), Some(text.as_str()), "{stem}");
    }
}

#[test]
fn the_default_acquirer_dialect_says_what_it_should() {
    let spec = load("pos-bcd", None).expect("a shipped file");
    assert_eq!(spec.edition, Some(Edition::Y1987));
    assert_eq!((spec.framing.length, spec.framing.size), (FrameLength::Binary, 2));
    assert_eq!((spec.header.kind, spec.header.size), (HeaderKind::Tpdu, 5));
    assert_eq!(spec.header.begins, [0x60]);
    let pan = &spec.fields[&2];
    assert_eq!(
        (pan.wire, pan.class, pan.accepts.as_slice()),
        (Wire::Bcd, Some(Class::N), &[15][..])
    );
    assert_eq!((pan.pad.side, pan.pad.nibble), (Side::Right, 0));
    let (length, counts) = (LengthWire::Bcd, Counts::Units);
    assert_eq!(pan.extent, Extent::Variable { max: 19, length, size: 2, counts });
    assert_eq!(spec.fields[&59].secret, Some(Secrecy::Code));
    assert!(!spec.fields.contains_key(&65), "no third bitmap");
    assert_eq!(spec.presence["0800"].mandatory, [11, 70]);
    assert!(spec.echo.values().flatten().all(|element| ![2, 35, 45, 52, 55].contains(element)));
}

#[test]
fn a_child_overrides_replaces_and_drops() {
    let folder = Folder::new("overrides");
    let child = "name = \"child\"\nabout = \"x\"\ninherits = \"cup-pos\"\nwithout = [64]\n\
        mac = []\n\
        [text]\ncharset = \"latin1\"\n[match]\ndefault = [11]\n[fields]\n\
        4 = { size = 10, wire = \"ascii\" }\n";
    folder.write("child", child);
    let spec = load("child", Some(&folder.0)).expect("no mistakes");
    let parent = load("cup-pos", None).expect("a shipped file");
    assert_eq!(spec.fields[&4].extent, Extent::Fixed(10));
    assert_eq!(spec.fields[&3], parent.fields[&3]);
    assert!(!spec.fields.contains_key(&64) && spec.mac.is_empty());
    assert_eq!((spec.charset, spec.header), (Charset::Latin1, parent.header));
    assert_eq!(spec.match_keys.len(), 1);
    assert_eq!(spec.echo, parent.echo);
    assert!(spec.vectors.is_empty() && !parent.vectors.is_empty());
    let by_path = load(folder.file("child").to_str().unwrap(), None);
    assert_eq!(by_path.map(|spec| spec.name), Ok("child".to_owned()));
}

#[test]
fn a_section_replaces_the_parents_whole() {
    let folder = Folder::new("sections");
    let rules = "[match]\ndefault = [11]\n[echo]\ndefault = [3]\n\
        [presence]\ndefault = { mandatory = [11] }\n";
    let head = "name = \"child\"\nabout = \"x\"\ninherits = \"iso87-binary\"\n";
    folder.write("child", &format!("{head}{rules}"));
    let spec = load("child", Some(&folder.0)).expect("no mistakes");
    assert_eq!(spec.match_keys.into_iter().collect::<Vec<_>>(), [("default".to_owned(), vec![11])]);
    assert_eq!(spec.echo.into_iter().collect::<Vec<_>>(), [("default".to_owned(), vec![3])]);
    assert_eq!(spec.presence.into_keys().collect::<Vec<_>>(), ["default"]);
}

#[test]
fn a_parent_is_found_beside_its_child_and_before_a_shipped_one() {
    let folder = Folder::new("beside");
    let parent = HEAD.replace("name = \"dialect\"", "name = \"cup-pos\"");
    folder.write("cup-pos", &parent);
    folder.write("child", "name = \"child\"\nabout = \"x\"\ninherits = \"cup-pos\"\n");
    let spec = load(folder.file("child").to_str().unwrap(), None).expect("no mistakes");
    assert_eq!(spec.fields.keys().collect::<Vec<_>>(), [&3]);
}

#[test]
fn composites_are_read() {
    let text = "55 = { max = 99, wire = \"binary\", length = \"bcd2\", inner = \"a\" }\n\
        [composite.a]\nkind = \"ber-tlv\"\nunknown = \"drop\"\ntags = [\"9F26\", \"DF8129\"]\n\
        [composite.b]\nkind = \"ltv\"\ntag_size = 1\nlength_size = 2\nwire = \"bcd\"\n\
        [composite.c]\nkind = \"positional\"\nparts = [{ name = \"x\", size = 3 }]\n\
        [composite.d]\nkind = \"bitmap\"\nwire = \"binary\"\nbits = 64\n\
        fields = { 3 = { size = 2, wire = \"bcd\" } }\n";
    let spec = loaded("composites", &format!("{HEAD}{text}")).expect("no mistakes");
    let CompositeSpec::BerTlv { unknown: Unknown::Drop, tags, .. } = &spec.composites["a"] else {
        panic!("{:?}", spec.composites["a"]);
    };
    assert_eq!(tags, &[0x9F26, 0xDF_8129]);
    assert!(matches!(spec.composites["b"], CompositeSpec::Ltv { length_size: 2, .. }));
    assert!(
        matches!(&spec.composites["c"], CompositeSpec::Positional { parts } if parts.len() == 1)
    );
    assert!(
        matches!(&spec.composites["d"], CompositeSpec::Bitmap { fields, .. } if fields.len() == 1)
    );
}

/// One mistake each, added behind [`HEAD`]: the line it must be found on, and what must be said.
const MISTAKES: [(&str, usize, &str, &str); 51] = [
    (
        "2 = { size = 6, wire = \"bdc\" }",
        10,
        "wire = \"bdc\"",
        "unknown wire form, expected one of",
    ),
    ("2 = { size = 6 }", 10, "2 = { size = 6 }", "missing wire"),
    ("2 = { size = 6, wire = \"bcd\", max = 9 }", 10, "2 = {", "size and max exclude each other"),
    ("2 = { wire = \"bcd\" }", 10, "2 = {", "missing size (fixed) or max"),
    ("2 = { size = 0, wire = \"bcd\" }", 10, "size = 0", "0 is not within 1 to 9999"),
    (
        "2 = { size = \"six\", wire = \"bcd\" }",
        10,
        "size = ",
        "expected a whole number, found text",
    ),
    ("2 = { max = 19, wire = \"bcd\" }", 10, "2 = {", "missing length"),
    ("2 = { max = 100, wire = \"bcd\", length = \"bcd2\" }", 10, "2 = {", "can say (99)"),
    (
        "2 = { max = 500, wire = \"hex\", length = \"ascii3\", counts = \"bytes\" }",
        10,
        "2 = {",
        "can say (999)",
    ),
    (
        "4 = { max = 198, wire = \"bcd\", length = \"bcd2\", counts = \"bytes\" }\n\
         2 = { max = 199, wire = \"bcd\", length = \"bcd2\", counts = \"bytes\" }",
        11,
        "2 = {",
        "can say (99)",
    ),
    ("2 = { max = 256, wire = \"hex\", length = \"binary1\" }", 10, "2 = {", "can say (255)"),
    ("2 = { max = 9, wire = \"bcd\", length = \"bcd\" }", 10, "length = ", "unknown length"),
    ("2 = { max = 9, wire = \"bcd\", length = \"bcd7\" }", 10, "length = ", "unknown length"),
    (
        "2 = { size = 9, wire = \"bcd\", length = \"bcd2\" }",
        10,
        "length = ",
        "length goes with max",
    ),
    (
        "2 = { max = 9, wire = \"ascii\", length = \"bcd2\", counts = \"digits\" }",
        10,
        "counts = ",
        "only bcd has digits",
    ),
    ("2 = { size = 3, wire = \"ascii\", pad = \"left-0\" }", 10, "pad = ", "pad without wire"),
    ("2 = { size = 3, wire = \"bcd\", pad = \"left-X\" }", 10, "pad = ", "unknown pad"),
    ("2 = { size = 3, wire = \"bcd\", accepts = \"G\" }", 10, "accepts = ", "hexadecimal digits"),
    ("2 = { size = 3, wire = \"bcd\", accepts = \"0\" }", 10, "accepts = ", "accepted anyway"),
    ("2 = { size = 3, wire = \"bcd\", class = \"ans\" }", 10, "class = ", "cannot carry class ans"),
    ("2 = { size = 3, wire = \"bcd\", class = \"q\" }", 10, "class = ", "unknown class"),
    ("65 = { size = 1, wire = \"binary\", class = \"bitmap\" }", 10, "class = ", "has size 8"),
    (
        "2 = { size = 3, wire = \"bcd\", colour = 1 }",
        10,
        "colour = 1",
        "unknown key, expected one of",
    ),
    ("2 = { size = 3, wire = \"binary\", inner = \"emv\" }", 10, "2 = {", "no [composite.emv]"),
    (
        "2 = { size = 3, wire = \"bcd\", inner = \"x\" }\n[composite.x]\nkind = \"ber-tlv\"",
        10,
        "2 = {",
        "ber-tlv is bytes",
    ),
    ("160 = { size = 3, wire = \"bcd\" }", 10, "160 = {", "needs a third bitmap"),
    (
        "66 = { size = 8, wire = \"binary\", class = \"bitmap\" }",
        10,
        "66 = {",
        "only element 65 extends",
    ),
    ("193 = { size = 3, wire = \"bcd\" }", 10, "193 = {", "\"193\" is no element"),
    (
        "02 = { size = 3, wire = \"bcd\" }\n2 = { size = 3, wire = \"bcd\" }",
        11,
        "2 =",
        "defined twice",
    ),
    (
        "2 = { size = 3, wire = \"bcd\" }\n2 = { size = 3, wire = \"bcd\" }",
        11,
        "2",
        "duplicate key",
    ),
    ("2 = 7", 10, "2 = 7", "expected a table, found a number"),
    ("2 = {", 10, "", "inline table"),
    ("[mtj]\nwire = \"bcd\"", 10, "mtj", "unknown key"),
    ("[header]\nkind = \"opaque\"", 10, "header", "missing size"),
    (
        "[header]\nkind = \"tpdu\"\nsize = 5\ntemplate = \"60\"",
        10,
        "header",
        "template has 1 bytes, the header 5",
    ),
    ("[framing]\nlength = \"none\"", 10, "framing", "needs a trailer"),
    ("[framing]\nlength = \"ascii\"\nafter = \"0\"", 12, "after = ", "pairs of hexadecimal digits"),
    ("[match]\ndefault = [37]", 11, "default = [37]", "element 37 is not defined"),
    ("[match]\n\"0110\" = [3]", 11, "\"0110\" = ", "expected \"default\" or the four digits"),
    ("[echo]\ndefault = [3, 3]", 11, "default = ", "element 3 is listed twice"),
    ("35 = { size = 9, wire = \"ascii\" }\n[echo]\ndefault = [35]", 12, "default", "card secrets"),
    (
        "[presence]\n\"0100\" = { mandatory = [3], forbidden = [3] }",
        11,
        "\"0100\" = ",
        "both allowed and forbidden",
    ),
    (
        "[original]\nelement = 3\nparts = [[0, 4]]",
        10,
        "original",
        "parts have 4 digits, element 3 6",
    ),
    ("[scan]\nentry_modes = [\"030\"]", 11, "\"030\"", "first two digits of DE 22"),
    ("[scan]\nplaces = [\"1\"]", 11, "\"1\"", "expected an element"),
    ("[scan]\nplaces = [\"63\"]", 10, "scan", "element 63 is not defined"),
    ("[scan]\nplaces = [\"3.A3\"]", 10, "scan", "element 3 has no tags and no parts"),
    ("[scan]\nplace = []", 11, "place", "unknown key"),
    (
        "[[vector]]\nid = \"a\"\nsource = \"b\"\nlicense = \"MIT\"\nhex = \"0\"",
        14,
        "hex = \"0\"",
        "pairs of hexadecimal digits",
    ),
    ("[composite.x]\nkind = \"tvl\"", 11, "kind = \"tvl\"", "unknown kind of composite"),
    ("[composite.x]\nkind = \"ber-tlv\"\ndepth_max = 4", 12, "depth_max = 4", "not within 1 to 3"),
];

#[test]
fn each_mistake_is_found_with_its_line() {
    for (added, line, text, reason) in MISTAKES {
        let mistakes = loaded("mistakes", &format!("{HEAD}{added}\n")).expect_err(added);
        let seen = listed(&mistakes);
        assert_eq!(mistakes.len(), 1, "{added}\n{seen}");
        assert_eq!(mistakes[0].line, line, "{added}\n{seen}");
        assert!(mistakes[0].text.starts_with(text), "{added}\n{seen}");
        assert!(mistakes[0].reason.contains(reason), "{added}\n{seen}");
    }
}

#[test]
fn mistakes_of_the_head_are_found() {
    let mistakes = loaded("head", "name = \"other\"\nedition = 1990\n").expect_err("mistakes");
    let seen = listed(&mistakes);
    for reason in [
        ":1: \"\": missing about",
        ":1: \"\": missing [mti], and no parent to take it from",
        ":1: \"\": missing [bitmap], and no parent to take it from",
        ":1: \"\": missing [fields]",
        ":1: \"name = \\\"other\\\"\": name must be the file's stem, \"dialect\"",
        ":2: \"edition = 1990\": unknown edition, expected 1987, 1993 or 2003",
    ] {
        assert!(seen.contains(reason), "{reason}\n{seen}");
    }
    assert_eq!(mistakes.len(), 6, "{seen}");
}

#[test]
fn all_mistakes_of_a_file_come_at_once_and_in_order() {
    let added = "2 = { size = 0, wire = \"bdc\", colour = 1 }\n4 = { size = 6, wire = \"x\" }\n\
        [match]\ndefault = [99]\n[header]\nkind = \"tpdv\"\n";
    let mistakes = loaded("many", &format!("{HEAD}{added}")).expect_err("mistakes");
    let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [10, 10, 10, 11, 13, 15], "{}", listed(&mistakes));
}

#[test]
fn inheritance_goes_wrong_in_four_ways() {
    let folder = Folder::new("inheritance");
    let file = |name: &str, parent: &str, rest: &str| {
        let text = format!("name = \"{name}\"\nabout = \"x\"\ninherits = \"{parent}\"\n{rest}");
        folder.write(name, &text);
    };
    file("a", "b", "");
    file("b", "a", "");
    file("orphan", "nobody", "without = [64]\n[match]\ndefault = [7]\n");
    file("drops", "cup-pos", "without = [127, 64]\n");
    file("wrong", "pos-bcd", "mac = 1\n");
    file("under", "wrong", "mac = 2\n");
    let reasons = |name: &str| listed(&load(name, Some(&folder.0)).expect_err(name));
    assert!(reasons("a").contains("b.toml:3: \"inherits = \\\"a\\\"\": a circle: "));
    assert!(
        reasons("orphan").contains("orphan.toml:3: \"inherits = \\\"nobody\\\"\": unknown dialect")
    );
    assert_eq!(reasons("orphan").lines().count(), 1, "no mistake that only the parent can judge");
    let drops = reasons("drops");
    assert!(drops.contains("drops.toml:4: \"without = [127, 64]\": element 127 is not inherited"));
    assert!(
        drops.contains("drops.toml:3: \"inherits = \\\"cup-pos\\\"\": element 64 is not defined")
    );
    let under = reasons("under");
    assert!(under.contains("wrong.toml:4:") && under.contains("under.toml:4:"), "{under}");
}

#[test]
fn a_file_that_is_not_there_is_a_mistake() {
    for name in ["nobody", "no/such/file.toml", "../x"] {
        let mistakes = load(name, None).expect_err(name);
        assert_eq!((mistakes.len(), mistakes[0].line), (1, 0), "{}", listed(&mistakes));
    }
}

#[test]
fn arbitrary_text_never_panics() {
    let whole = embedded("pos-bcd-ir").expect("a shipped file");
    let folder = Folder::new("cut");
    for end in (0..whole.len()).step_by(3).filter(|end| whole.is_char_boundary(*end)) {
        // Cutting inside the comment or behind a whole line may leave a file that is right.
        folder.write("cut", &whole[..end]);
        let _ = load("cut", Some(&folder.0));
    }
}

/// A whole small dialect of nine lines, open at `[fields]`.
const HEAD: &str = "name = \"dialect\"\nabout = \"x\"\n[mti]\nwire = \"bcd\"\n[bitmap]\n\
    wire = \"binary\"\n\n[fields]\n3 = { size = 6, wire = \"bcd\" }\n";

fn loaded(test: &str, text: &str) -> Result<Spec, Vec<Mistake>> {
    let folder = Folder::new(test);
    folder.write("dialect", text);
    load(folder.file("dialect").to_str().unwrap(), None)
}

/// A folder of the test's own, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("authswitch-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.toml"))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
