use jiff::Timestamp;

/// A run's name, `YYYYMMDD-HHMMSS-xxxx`: the UTC time at which it was made and four random hex digits. Sorts by
/// time, and is safe in file names, database names and labels.
#[must_use]
pub fn new_run_id(now: Timestamp) -> String {
    // Without the kernel's randomness the clock's fraction still keeps two runs of one second apart.
    let random = getrandom::u32().unwrap_or_else(|_| now.subsec_nanosecond().unsigned_abs() >> 4);
    format!("{}-{:04x}", now.strftime("%Y%m%d-%H%M%S"), random & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_after_its_time() {
        let id = new_run_id("2026-11-24T03:15:00.123Z".parse().unwrap());
        let (time, random) = id.split_at(16);
        assert_eq!(time, "20261124-031500-");
        assert!(random.len() == 4 && random.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
}
