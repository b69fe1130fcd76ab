//! Is the code in shape? What reviewers would have to look for again and again, looked for here.
//!
//! Floors, sizes, words, and that nothing shipped is dead or undocumented. It reads text, with no
//! more understanding of Rust than telling code from comments and strings; rustfmt has made the
//! rest regular. Each rule is proven by a planted violation: a rule that cannot fail is not one.

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/lines.rs"]
mod lines;
#[path = "tidy/shipped.rs"]
mod shipped;
#[path = "tidy/source.rs"]
mod source;

use source::Source;

/// What breaks a rule: where, and what to do about it.
type Findings = Vec<String>;

#[test]
fn the_repository_is_in_shape() {
    let tree = source::tree();
    assert!(tree.iter().any(|file| file.path == "src/lib.rs"), "the sources were found");
    let mut findings = Findings::new();
    for file in &tree {
        lines::check(file, &mut findings);
        if file.is_rust() {
            floors::check(file, &tree, &mut findings);
        }
    }
    shipped::check(&tree, &mut findings);
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// Checks that `text`, planted as the file `path`, breaks exactly one rule, which says `words`.
fn planted(check: impl Fn(&Source, &mut Findings), path: &str, text: &str, words: &str) {
    let mut findings = Findings::new();
    check(&Source::new(path, text), &mut findings);
    assert_eq!(findings.len(), 1, "{path}: {text:?} breaks one rule: {findings:?}");
    assert!(findings[0].contains(words), "{:?} does not say {words:?}", findings[0]);
}
