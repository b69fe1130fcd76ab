//! `authswitch routes diff`: two folders, and a journal that is decided under both.

use crate::message::{answer_to, sale};
use crate::rig::{Folder, Host, Serve, switch};

fn diff(arguments: &[&str]) -> (i32, String, String) {
    let output = switch(&[&["routes", "diff"], arguments].concat()).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

fn routes(rest: &str) -> String {
    format!(
        "check_merchants = false\n\
         [[network]]\nname = \"CARD\"\npans = [{{ prefix = \"4\", length = 16 }}]\n\
         [[route]]\nname = \"card\"\nnetwork = \"CARD\"\nregion = \"*\"\n\
         partners = [\"bank\"]\nbudget = \"1500ms\"\n{rest}"
    )
}

/// Fuel is refused from now on.
const REFUSAL: &str = "[[refuse]]\nname = \"no-fuel\"\ncode = \"57\"\nmcc = 5542\n";

#[test]
fn two_versions_and_what_they_do_to_recorded_requests() {
    let host = Host::new();
    let journal = Folder::new("versions-journal", &[]);
    let settings = format!("journal = {:?}\njournal_segment_bytes = 4194304\n", journal.path("j"));
    let old = crate::rig::configured("versions-old", host.address, &settings, "1500ms");
    let new = crate::rig::configured("versions-new", host.address, &settings, "1500ms");
    let (old_path, new_path) = (old.path(""), new.path(""));
    let (code, text, _) = diff(&[&old_path, &new_path]);
    assert_eq!((code, text.lines().nth(1)), (0, Some("no difference")), "{text}");

    let mut serve = Serve::with(&["--config", &old_path]);
    let mut partner = host.accept();
    serve.wait_for_line("connected");
    let mut pos = serve.call();
    for stan in 1..=5 {
        let mcc = if stan % 2 == 0 { "5542" } else { "5411" };
        let request = sale(stan).with(18, mcc);
        pos.send(&request);
        let seen = partner.receive();
        partner.send(&answer_to(&seen, "00"));
        pos.receive().answers(&request, "00");
    }
    serve.signal("TERM");
    assert_eq!(serve.ends().code(), Some(0));

    std::fs::write(new.path("routes.toml"), routes(REFUSAL)).expect("a file");
    let (code, text, _) = diff(&[&old_path, &new_path, "--journal", &journal.path("j")]);
    assert_eq!(code, 1, "{text}");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines[0], "+1 refusal");
    assert_eq!(lines[2], "  + no-fuel  code 57, mcc 5542");
    assert_eq!(lines[3], "recorded requests 5, of which 2 would have gone another way");
    assert_eq!(lines[4], "         2  CARD by card: bank  ->  57: refused by no-fuel");
    assert_eq!(lines.len(), 5, "{text}");

    let (code, text, errors) = diff(&[&old_path, &journal.path("")]);
    assert_eq!((code, text.as_str()), (2, ""), "{errors}");
    assert!(errors.contains("routes.toml"), "{errors}");
    let (code, text, errors) = diff(&[&old_path, &new_path, "--journal", &journal.path("no")]);
    assert_eq!((code, text.as_str()), (2, ""), "{errors}");
}

#[test]
fn what_needs_a_restart_is_a_difference() {
    let host = Host::new();
    let old = crate::rig::configured("versions-fixed", host.address, "", "1500ms");
    let new = crate::rig::configured("versions-moved", host.address, "spin = \"1ms\"\n", "1500ms");
    let (code, text, _) = diff(&[&old.path(""), &new.path("")]);
    assert_eq!(code, 1);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines, ["no difference", "needs a restart: spin: 0s -> 1ms"]);
}
