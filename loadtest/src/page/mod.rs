//! The page of a run, or of several: one HTML file that needs nothing else.
//!
//! Charts, styles and figures are inside, so the file can be mailed and opened in ten years. The
//! figures are the JSON of the runs as it was kept; the page computes nothing that the JSON does
//! not say. uPlot (MIT) draws; its licence text goes into each page.

use serde::Serialize;

use crate::load::{Change, Kept};

/// The page of these runs; of more than one it is a comparison.
pub(crate) fn html(runs: &[Kept], changes: &[Change]) -> String {
    #[derive(Serialize)]
    struct Data<'r> {
        runs: &'r [Kept],
        changes: &'r [Change],
    }
    let data = serde_json::to_string(&Data { runs, changes }).unwrap_or_default();
    // Nothing inside may look like the end of the script it stands in.
    let data = data.replace('<', "\\u003c");
    let title = match runs {
        [one] => one.report.title.as_str(),
        _ => "Load tests compared",
    };
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let parts = [
        ("{{title}}", title.as_str()),
        ("{{uplot.css}}", include_str!("uplot.css").trim_end()),
        ("{{page.css}}", include_str!("page.css")),
        ("{{uplot.license}}", include_str!("uplot.LICENSE").trim_end()),
        ("{{uplot.js}}", include_str!("uplot.js").trim_end()),
        ("{{data}}", data.as_str()),
        ("{{page.js}}", include_str!("page.js")),
    ];
    let mut page = String::new();
    let mut rest = include_str!("page.html");
    // In the order of the page, so that nothing inside a part is taken for a place.
    for (place, part) in parts {
        let (before, behind) = rest.split_once(place).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(part);
        rest = behind;
    }
    page.push_str(rest);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_nothing_else_and_says_nothing_it_was_told_to_run() {
        let mut kept = Kept::default();
        kept.report.title = "</script><script>alert(1)</script>{{page.js}}".into();
        kept.origin.command = "loadtest run {{data}}".into();
        let page = html(&[kept], &[]);
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert!(!page.contains("<script>alert") && page.matches("<script").count() == 3);
        assert!(page.contains("Permission is hereby granted"), "the licence is inside");
        for outside in ["src=", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let data = page.split("id=\"data\">").nth(1).and_then(|rest| rest.split("</").next());
        let data: serde_json::Value = serde_json::from_str(data.unwrap()).unwrap();
        assert_eq!(data["runs"][0]["command"], "loadtest run {{data}}");
    }
}
