/// Names that look like secrets and are none.
const HARMLESS: [&str; 6] =
    ["S3_BUCKET", "AWS_REGION", "AWS_ACCESS_KEY_ID", "APP_HOST", "APP_INTERNAL_URL", "S3_ENDPOINT"];

/// Parts of a name that make its value a secret. In doubt it is one: a masked value hurts nobody.
const SECRET: [&str; 10] =
    ["PASS", "SECRET", "TOKEN", "KEY", "SALT", "CREDENTIAL", "PRIVATE", "LICENSE", "DSN", "AUTH"];

/// Whether the value of a setting must never be seen, by its name and its form. In doubt it is a secret.
#[must_use]
pub fn is_secret(name: &str, value: &str) -> bool {
    if value.contains("://") && value.contains('@') {
        // An address with a user in front of it.
        return true;
    }
    let upper = name.to_ascii_uppercase();
    !HARMLESS.contains(&upper.as_str()) && SECRET.iter().any(|part| upper.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_doubt_it_is_a_secret() {
        for (name, value) in [
            ("DB_PASSWORD", "x"),
            ("SMTP_PASS", "x"),
            ("STRATA_SECRET_KEY_BASE", "x"),
            ("LICENSE_KEY", "x"),
            ("REDIS_URL", "redis://user:word@host"),
        ] {
            assert!(is_secret(name, value), "{name}");
        }
        for (name, value) in [("APP_HOST", "strata.example"), ("AWS_REGION", "eu"), ("DB_HOST", "10.0.0.1")] {
            assert!(!is_secret(name, value), "{name}");
        }
    }
}
