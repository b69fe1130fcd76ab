//! Acquirers and partners that do not write alike.

use crate::message::{answer_to, sale};
use crate::rig::{Folder, Host, Serve, ms};

#[test]
fn a_partner_that_writes_ascii() {
    let host = Host::at("127.0.0.1:0", "iso87-ascii");
    let mut serve = Serve::start(host.address, &["--partner-dialect", "iso87-ascii"]);
    let mut partner = host.accept();
    serve.wait_for_line("connected");
    let mut pos = serve.call();
    let request = sale(1)
        .with(35, "4761340000000019=2912201")
        .with(52, "0123456789ABCDEF")
        .with(55, "9F2608A1B2C3D4E5F60708")
        .with(63, "private");
    pos.send(&request);
    let seen = partner.receive();
    assert_eq!(seen.mti, "0200");
    for element in [2, 3, 4, 22, 25, 35, 41, 42, 49, 52, 55, 63] {
        assert_eq!(seen.of(element), request.of(element), "DE {element}");
    }
    partner.send(&answer_to(&seen, "00").with(38, "A1B2C3"));
    let heard = pos.receive();
    heard.answers(&request, "00");
    assert_eq!(heard.of(38), Some("A1B2C3"));
    assert_eq!(heard.of(63), Some("private"));
    for secret in [2, 35, 52, 55] {
        assert_eq!(heard.of(secret), None, "DE {secret}");
    }
    // What is wrong here is told in the terminal's own way.
    let wrong = sale(2).with(4, "000000000000");
    pos.ask(&wrong).answers(&wrong, "13");
    partner.hears_nothing(ms(50));
}

#[test]
fn a_dialect_of_ones_own() {
    let file = "name = \"corner-shop\"\nabout = \"Lengths in four digits.\"\n\
                inherits = \"iso87-binary\"\n[framing]\nlength = \"ascii\"\nsize = 4\n";
    let folder = Folder::new("dialect", &[("corner-shop.toml", file)]);
    let path = folder.path("corner-shop.toml");
    let host = Host::at("127.0.0.1:0", "pos-bcd");
    let options = ["--dialect", &path, "--partner-dialect", "pos-bcd"];
    let mut serve = Serve::start(host.address, &options);
    let mut partner = host.accept();
    serve.wait_for_line("connected");
    let mut pos = serve.call_in(&path);
    let request = sale(1);
    let frame = pos.frame(&request);
    assert!(frame[..4].iter().all(u8::is_ascii_digit), "{frame:?}");
    pos.send_bytes(&frame);
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
    // A length that is no digits.
    pos.send_bytes(b"00-3");
    pos.ends_within(crate::rig::AT_ONCE);
}

/// The addresses of a TPDU are swapped in the answer.
#[test]
fn a_tpdu_finds_its_way_back() {
    let serve = crate::rig::approving(&[]);
    let mut pos = serve.call();
    let mut frame = pos.frame(&sale(1));
    frame[2..7].copy_from_slice(&[0x60, 0x12, 0x34, 0x56, 0x78]);
    pos.send_bytes(&frame);
    let mut head = [0; 7];
    std::io::Read::read_exact(&mut pos.stream, &mut head).expect("an answer");
    assert_eq!(head[2..], [0x60, 0x56, 0x78, 0x12, 0x34]);
}
