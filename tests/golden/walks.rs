//! The comparison with forms met before and the careful one over any agree on every message.

use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::encode::{Composer, template_header};
use authswitch::iso8583::frame::{self, Cut};
use authswitch::iso8583::kept::Kept;
use authswitch::iso8583::message::Message;
use authswitch::iso8583::mti::Mti;
use authswitch::iso8583::spec::Wire;

use crate::{dialect, sound_vectors};

#[test]
fn twin_and_walk_agree_on_every_damaged_message() {
    for (vector, message, dialect) in sound_vectors() {
        let mut damaged = message.clone();
        let mut index = Pair::default();
        for _ in 0..TEACHING {
            agree(&dialect, &mut index, &message, &vector.id);
        }
        agree(&dialect, &mut index, &damaged, &vector.id);
        for place in 0..message.len() {
            for bit in 0..8 {
                damaged[place] = message[place] ^ 1 << bit;
                agree(&dialect, &mut index, &damaged, &vector.id);
            }
            damaged[place] = message[place];
            agree(&dialect, &mut index, &message[..place], &vector.id);
        }
    }
}

/// A form is known from its third message on: so each is sent four times.
#[test]
fn a_message_without_elements_does_not_become_a_known_form() {
    for (vector, message, dialect) in sound_vectors() {
        let mut index = Pair::default();
        let empty = &message[..dialect.header_bytes + dialect.mti_bytes];
        let zeros = if dialect.spec.bitmap.wire == Wire::Binary { [0; 16] } else { [b'0'; 16] };
        for bytes in [8, 16] {
            let empty = [empty, &zeros[..bytes]].concat();
            for _ in 0..TEACHING {
                agree(&dialect, &mut index, &empty, &vector.id);
            }
        }
    }
}

/// One with an empty second bitmap and one without any have the same elements, and can be of one
/// length; but nothing stands where it stands in the other.
#[test]
fn an_empty_bitmap_makes_another_form() {
    for name in ["iso87-ascii", "iso87-binary", "pos-bcd"] {
        let dialect = dialect(name);
        let zeros =
            if dialect.spec.bitmap.wire == Wire::Binary { vec![0; 8] } else { vec![b'0'; 16] };
        let bitmap = dialect.header_bytes + dialect.mti_bytes;
        for place in 0..20 {
            for longer in 8..60 {
                let short = sale(&dialect, place, longer);
                let long = sale(&dialect, place, longer + zeros.len());
                let behind = bitmap + zeros.len();
                let mut empty = [&short[..behind], &zeros, &short[behind..]].concat();
                // The first bit of both kinds of bitmap: of a byte, or of a hexadecimal digit.
                empty[bitmap] = match empty[bitmap] {
                    digit if zeros[0] == b'0' => b"89ABCDEF"[usize::from(digit - b'0')],
                    byte => byte | 0x80,
                };
                assert_eq!(empty.len(), long.len());
                for [known, other] in [[&long, &empty], [&empty, &long]] {
                    let mut index = Pair::default();
                    for _ in 0..TEACHING {
                        agree(&dialect, &mut index, known, name);
                    }
                    agree(&dialect, &mut index, other, name);
                }
            }
        }
    }
}

/// With `place` characters in DE 44 and `longer` ones in DE 48.
fn sale(dialect: &Dialect, place: usize, longer: usize) -> Vec<u8> {
    let (first, second) = ("1".repeat(place % 20 + 1), "1".repeat(longer));
    let values: [(u8, &str); 11] = [
        (2, "3011111111111117"),
        (3, "001010"),
        (4, "000000012345"),
        (7, "1122123456"),
        (11, "000123"),
        (37, "111111111111"),
        (41, "11111111"),
        (42, "111111111111111"),
        (44, &first),
        (48, &second),
        (49, "156"),
    ];
    let mut out = Vec::new();
    let elements = values.iter().map(|(element, _)| *element).collect();
    let header = |out: &mut Vec<u8>| template_header(dialect, out);
    let mti = Mti::from_packed(0x0200).expect("digits");
    let mut composer = Composer::begin(dialect, &mut out, header, mti, &elements);
    for (element, value) in values {
        composer.value(element, value.as_bytes()).expect("fits");
    }
    composer.finish().expect("fits");
    let Cut::Frame { start, end, .. } = frame::cut(&dialect.spec.framing, &out) else {
        panic!("a whole frame");
    };
    out[start..end].to_vec()
}

/// How often a message is decoded until its form is known.
const TEACHING: usize = 4;

/// One index that has met messages before, and one that never learns from them.
#[derive(Default)]
struct Pair {
    fast: Index,
    careful: Index,
}

fn agree(dialect: &Dialect, Pair { fast, careful }: &mut Pair, message: &[u8], name: &str) {
    let fast_result = dialect.decode(message, fast);
    let careful_result = dialect.decode_with_care(message, careful);
    assert_eq!(fast_result, careful_result, "{name}");
    if fast_result.is_err() {
        return;
    }
    assert_eq!((fast.mti, fast.present), (careful.mti, careful.present), "{name}");
    assert_eq!((fast.named, fast.end), (careful.named, careful.end), "{name}");
    assert_eq!(fast.emv_accounts, careful.emv_accounts, "{name}");
    let kept = [&*fast, &*careful].map(|index| {
        let (mut kept, mut with_care) = (Kept::default(), Kept::default());
        kept.fill(&Message { bytes: message, index, dialect });
        with_care.fill_with_care(&Message { bytes: message, index, dialect });
        assert_eq!(kept.parts(), with_care.parts(), "{name}");
        kept
    });
    assert_eq!(kept[0].bytes(), kept[1].bytes(), "{name}");
    for element in fast.present.iter() {
        assert_eq!(fast.span(element), careful.span(element), "{name} DE {element}");
    }
}
