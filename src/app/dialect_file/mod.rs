//! Dialect files: TOML in, [`Spec`] out, every mistake with its file and line.
//!
//! What it is not: it does not decide what a dialect may say (that is [`crate::iso8583::spec`]) and
//! does not run the vectors of a file (that needs the codec). Why inheritance: real dialects differ
//! from a common root in a handful of elements, and a file that shows only those can be reviewed
//! against a partner's specification. The rule is short: in `[fields]` and `[composite]` a line
//! replaces the parent's line, `without` drops inherited elements, and any other section replaces
//! the parent's whole. Vectors are not inherited: they belong to one way of writing.
//!
//! ```text
//! load(name) -> locate -> parse -> parent first (same way) -> sections over it -> checks -> Spec
//! ```

mod check;
mod composite;
mod field;
mod locate;
mod mistake;
mod notation;
mod rules;
mod sections;
mod shipped;
mod table;
#[cfg(test)]
mod tests;

use std::path::Path;

pub(in crate::app) use locate::{DIALECT_BYTES_MAX, is_in};
pub use mistake::Mistake;
pub(in crate::app) use mistake::{Log, Span, shown};
pub use notation::notation;
pub use shipped::{embedded, shipped_names};

use crate::app::toml_text;
use crate::base::codes::Edition;
use crate::iso8583::spec::Spec;
use locate::{File, Lost, file, parent};
use table::{ELEMENT_MAX, ELEMENT_MIN, Table};

/// Reads the dialect `name_or_path` with its parents: a path if it has a slash or ends in `.toml`,
/// else a name, looked for in `extra_dir` and then among the shipped files.
///
/// # Errors
///
/// Every mistake of the file and of the parents it names.
pub fn load(name_or_path: &str, extra_dir: Option<&Path>) -> Result<Spec, Vec<Mistake>> {
    let file = file(name_or_path, extra_dir).map_err(|mistake| vec![mistake])?;
    load_file(&file, extra_dir, &mut Vec::new())
}

/// A mistake that shows only when the dialect is used, at the first line of its file that has
/// `text`.
pub fn blame(name_or_path: &str, extra_dir: Option<&Path>, text: &str, reason: String) -> Mistake {
    let found = match file(name_or_path, extra_dir) {
        Ok(found) => found,
        Err(mistake) => return Mistake { reason, ..mistake },
    };
    let mut lines = found.text.lines().zip(1..);
    let (line, number) = lines.find(|(line, _)| line.contains(text)).unwrap_or(("", 0));
    Mistake { file: found.shown.clone(), line: number, text: line.to_owned(), reason }
}

/// `descendants` are the files on the way down to this one, to see a circle.
fn load_file(
    file: &File,
    extra_dir: Option<&Path>,
    descendants: &mut Vec<String>,
) -> Result<Spec, Vec<Mistake>> {
    let mut log = Log::new(&file.shown, &file.text);
    let (root, errors) = toml_text::parsed(&file.text);
    if !errors.is_empty() {
        for error in errors {
            log.add_syntax(&error.span().unwrap_or_default(), error.message());
        }
        return Err(log.into_mistakes());
    }
    let mut root = Table::new(root.get_ref(), 0..0);
    let mut mistakes = Vec::new();
    let mut base = None;
    if let Some((name, span)) = root.text("inherits", &mut log) {
        descendants.push(file.shown.clone());
        match parent(name, file, extra_dir) {
            Err(Lost::Unknown(reason)) => log.add(&span, reason),
            Err(Lost::Unreadable(mistake)) => mistakes.push(mistake),
            Ok(_) if descendants.len() > ANCESTORS_MAX => {
                log.add(&span, format!("more than {ANCESTORS_MAX} dialects inherit in a row"));
            }
            Ok(parent) if descendants.contains(&parent.shown) => {
                let circle = descendants.join(" -> ");
                log.add(&span, format!("a circle: {circle} -> {}", parent.shown));
            }
            Ok(parent) => match load_file(&parent, extra_dir, descendants) {
                Ok(spec) => base = Some(spec),
                Err(more) => mistakes = more,
            },
        }
    }
    let spec = read(file, &mut root, base, &mut log);
    root.finish(&mut log);
    mistakes.extend(log.into_mistakes());
    if mistakes.is_empty() { Ok(spec) } else { Err(mistakes) }
}

/// Reads one file over its parent.
fn read(file: &File, root: &mut Table<'_>, base: Option<Spec>, log: &mut Log<'_>) -> Spec {
    let inherits = root.take("inherits").is_some();
    // With a parent that could not be read, whatever depends on it would be called wrong too.
    let whole = base.is_some() || !inherits;
    let mut spec = base.unwrap_or_default();
    identity(file, root, &mut spec, log);
    without(root, &mut spec, whole, log);
    sections::read(root, &mut spec, inherits, log);
    fields(root, &mut spec, log);
    if let Some(table) = root.table("composite", log) {
        for entry in table.entries() {
            if let Some(composite) = composite::composite(&entry, log) {
                spec.composites.insert(entry.key.to_owned(), composite);
            }
        }
    }
    rules::read(root, &mut spec, log);
    if whole {
        check::fields(root, &spec, log);
        rules::check(root, &spec, log);
    }
    spec
}

/// Name, sentence, edition.
fn identity(file: &File, root: &mut Table<'_>, spec: &mut Spec, log: &mut Log<'_>) {
    let start = root.span.clone();
    match root.text("name", log) {
        Some((name, span)) if name != file.stem => {
            log.add(&span, format!("name must be the file's stem, {:?}", file.stem));
        }
        Some((name, _)) => name.clone_into(&mut spec.name),
        None => log.add(&start, "missing name"),
    }
    match root.text("about", log) {
        Some(("", span)) => log.add(&span, "empty"),
        Some((about, _)) => about.clone_into(&mut spec.about),
        None => log.add(&start, "missing about"),
    }
    if let Some(entry) = root.take("edition") {
        match entry.number(0..=9_999_u16, log) {
            Some(1987) => spec.edition = Some(Edition::Y1987),
            Some(1993) => spec.edition = Some(Edition::Y1993),
            Some(2003) => spec.edition = Some(Edition::Y2003),
            Some(_) => log.add(&entry.span, "unknown edition, expected 1987, 1993 or 2003"),
            None => {}
        }
    }
}

/// Drops inherited elements.
fn without(root: &mut Table<'_>, spec: &mut Spec, whole: bool, log: &mut Log<'_>) {
    let Some(entry) = root.take("without") else { return };
    for element in entry.elements(log) {
        if spec.fields.remove(&element).is_none() && whole {
            log.add(&entry.span, format!("element {element} is not inherited"));
        }
    }
}

/// `[fields]`: each line replaces the parent's.
fn fields(root: &mut Table<'_>, spec: &mut Spec, log: &mut Log<'_>) {
    let Some(table) = root.table("fields", log) else {
        if spec.fields.is_empty() && root.take("inherits").is_none() {
            log.add(&root.span, "missing [fields]");
        }
        return;
    };
    let mut seen = Vec::new();
    for entry in table.entries() {
        let element = entry.key.parse().ok();
        let element = element.filter(|element| (ELEMENT_MIN..=ELEMENT_MAX).contains(element));
        let field = field::field(&entry, log);
        let Some(element) = element else {
            log.add(&entry.span, format!("{:?} is no element, expected 2 to 192", entry.key));
            continue;
        };
        if seen.contains(&element) {
            log.add(&entry.span, format!("element {element} is defined twice"));
        }
        seen.push(element);
        if let Some(field) = field {
            spec.fields.insert(element, field);
        }
    }
}

/// Of a dialect; those that are shipped have three at most. Each is read inside the next.
const ANCESTORS_MAX: usize = 16;
