//! Regions as files write them: ISO 3166-1 alpha-2, for a part of one with that of ISO 3166-2.

use crate::base::ids::{Area, Region};

/// The region of a code that ISO 3166-1 has assigned.
///
/// # Errors
///
/// A sentence on what is wrong with it.
pub(super) fn region(code: &str) -> Result<Region, String> {
    let listed = ASSIGNED.split_ascii_whitespace().any(|other| other == code);
    match Region::from_text(code) {
        Some(region) if listed => Ok(region),
        _ if code == "UK" => Err("unknown region \"UK\", did you mean \"GB\"?".to_owned()),
        _ => Err(format!("unknown region {code:?}, expected two letters of ISO 3166-1 like KR")),
    }
}

/// A region, or a part of one like `CN-ZJ`. Whether there is such a part is not known here.
///
/// # Errors
///
/// A sentence on what is wrong with it.
pub(super) fn area(code: &str) -> Result<Area, String> {
    match code.split_once('-') {
        None => region(code).map(Area::from),
        Some((whole, _)) => {
            region(whole)?;
            Area::from_text(code)
                .ok_or_else(|| format!("{code:?} is no part of a region, expected one like CN-ZJ"))
        }
    }
}

/// Officially assigned codes of ISO 3166-1.
const ASSIGNED: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ \
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW \
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY \
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV \
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG \
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM \
    ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_codes() {
        assert_eq!(ASSIGNED.split_ascii_whitespace().count(), 249);
        assert_eq!(region("KR"), Ok(Region(*b"KR")));
        for code in ["", "kr", "KOR", "XX", "UK"] {
            assert!(region(code).is_err(), "{code}");
        }
        assert_eq!(area("KR"), Ok(Area::from(Region(*b"KR"))));
        assert_eq!(area("CN-ZJ").map(|area| area.to_string()), Ok("CN-ZJ".to_owned()));
        for code in ["CN-", "CN-zj", "XX-1", "CN-ABCD", "CN-A-B"] {
            assert!(area(code).is_err(), "{code}");
        }
    }
}
