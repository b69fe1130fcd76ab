//! A host that stands still now and then, as one does that collects garbage or swaps.
//!
//! The whole thread stops: nothing is read, nothing leaves, and what waits meanwhile is answered
//! all at once. A load that waits for answers before it asks again hardly sees it.

use std::str::FromStr;
use std::time::Duration;

use super::duration_ns;
use crate::clock::pause;

/// For how long, and how often, written `100ms/1s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freeze {
    length: Duration,
    every: Duration,
}

impl FromStr for Freeze {
    type Err = String;

    fn from_str(text: &str) -> Result<Freeze, String> {
        let (length, every) = text
            .split_once('/')
            .ok_or_else(|| format!("'{text}' is not LENGTH/EVERY, such as 100ms/1s"))?;
        let time = |text| duration_ns(text).map(Duration::from_nanos);
        let (length, every) = (time(length)?, time(every)?);
        if length.is_zero() || length >= every {
            return Err(format!("'{text}': it cannot stand still all the time, or never"));
        }
        Ok(Freeze { length, every })
    }
}

impl Freeze {
    /// Stops the thread again and again.
    pub(super) async fn keep(self) {
        loop {
            tokio::time::sleep(self.every - self.length).await;
            pause(self.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_is_shorter_than_its_distance() {
        let freeze: Freeze = "100ms/1s".parse().unwrap();
        assert_eq!((freeze.length.as_millis(), freeze.every.as_millis()), (100, 1_000));
        for wrong in ["100ms", "0/1s", "1s/1s", "2s/1s", "x/1s"] {
            assert!(wrong.parse::<Freeze>().is_err(), "{wrong}");
        }
    }
}
