//! The dialect files built into the binary.

/// The text of the shipped dialect `name`.
pub fn embedded(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)
}

/// The names of the shipped dialects, in alphabetical order.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

const SHIPPED: [(&str, &str); 33] = [
    ("ascii87-binbitmap", include_str!("../../../dialects/ascii87-binbitmap.toml")),
    ("ascii87-hexbitmap", include_str!("../../../dialects/ascii87-hexbitmap.toml")),
    ("ascii87-hexbitmap-hdr8", include_str!("../../../dialects/ascii87-hexbitmap-hdr8.toml")),
    ("ascii93-fluidpay", include_str!("../../../dialects/ascii93-fluidpay.toml")),
    ("ascii93-rohitjoshi", include_str!("../../../dialects/ascii93-rohitjoshi.toml")),
    ("bcd-ebcdic-de39", include_str!("../../../dialects/bcd-ebcdic-de39.toml")),
    ("cb-ebcdic-bcd", include_str!("../../../dialects/cb-ebcdic-bcd.toml")),
    ("cup-pos", include_str!("../../../dialects/cup-pos.toml")),
    ("cup-pos-48bcd", include_str!("../../../dialects/cup-pos-48bcd.toml")),
    ("iso87-ascii", include_str!("../../../dialects/iso87-ascii.toml")),
    ("iso87-binary", include_str!("../../../dialects/iso87-binary.toml")),
    ("iso93-ascii", include_str!("../../../dialects/iso93-ascii.toml")),
    ("iso93-binary", include_str!("../../../dialects/iso93-binary.toml")),
    ("jpos-iso87ascii", include_str!("../../../dialects/jpos-iso87ascii.toml")),
    ("jpos-iso87binary", include_str!("../../../dialects/jpos-iso87binary.toml")),
    ("jpos-iso87binary-f55text", include_str!("../../../dialects/jpos-iso87binary-f55text.toml")),
    ("jpos-iso93ascii", include_str!("../../../dialects/jpos-iso93ascii.toml")),
    ("jpos-iso93binary", include_str!("../../../dialects/jpos-iso93binary.toml")),
    ("mastercard-ebcdic", include_str!("../../../dialects/mastercard-ebcdic.toml")),
    ("mixed-rkbalgi", include_str!("../../../dialects/mixed-rkbalgi.toml")),
    ("moov-mixed", include_str!("../../../dialects/moov-mixed.toml")),
    ("moov-spec87ascii-fixed128", include_str!("../../../dialects/moov-spec87ascii-fixed128.toml")),
    ("pos-bcd", include_str!("../../../dialects/pos-bcd.toml")),
    ("pos-bcd-amex-ar", include_str!("../../../dialects/pos-bcd-amex-ar.toml")),
    ("pos-bcd-ir", include_str!("../../../dialects/pos-bcd-ir.toml")),
    ("pos-bcd-padF-left", include_str!("../../../dialects/pos-bcd-padF-left.toml")),
    ("pos-bcd-padF-right", include_str!("../../../dialects/pos-bcd-padF-right.toml")),
    ("pos-bcd-tpdu", include_str!("../../../dialects/pos-bcd-tpdu.toml")),
    ("pos-bcd-tpdu-n24", include_str!("../../../dialects/pos-bcd-tpdu-n24.toml")),
    ("pos-bcd-zoukankan", include_str!("../../../dialects/pos-bcd-zoukankan.toml")),
    ("postilion-post", include_str!("../../../dialects/postilion-post.toml")),
    ("visa-base1", include_str!("../../../dialects/visa-base1.toml")),
    ("visa-base1-reject", include_str!("../../../dialects/visa-base1-reject.toml")),
];
