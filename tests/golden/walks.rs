//! The comparison with forms met before and the careful one over any agree on every message.

use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::kept::Kept;
use authswitch::iso8583::message::Message;
use authswitch::iso8583::spec::Wire;

use crate::sound_vectors;

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
