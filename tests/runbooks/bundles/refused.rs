use serde_json::{Value, json};

use super::maker::{BUNDLE, Vendor, bundles, install, patched, put, revert, site, version};
use crate::runbooks::night::Night;

const LOOK: &str = "const RUNBOOK = #{ api: 1, summary: \"a look\" };\n";

fn manifest() -> Value {
    json!({
        "name": "patch", "version": "1.1.0", "api": 1, "product": "strata", "serves": ">=1.0, <2.0",
        "stops": [], "summary": "waits longer",
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut manifest = manifest();
    manifest[key] = value;
    manifest
}

/// What the site says of a parameter must have one with the bundle too: every later upgrade would be refused.
#[tokio::test]
async fn a_bundle_without_a_parameter_that_the_site_relies_on_is_refused() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let settings = night.world.file("/srv/strata/uplift.toml").unwrap();
    let settings = String::from_utf8(settings.bytes).unwrap();
    night.settings(&format!("{settings}\n[params.\"compose/upgrade\"]\nsettle = \"20s\"\n"));
    let text = patched().replace("settle", "quiet");
    let bundle = vendor.pack(&night.world, "1.1.0", &[("compose/upgrade.rhai", &text)]).await;
    let (code, said) = refused(&night, &bundle).await;
    assert_eq!(code, "bundle_unfit", "{said}");
    assert!(said.contains("`settle` under") && said.contains("there is no such parameter"), "{said}");
}

/// The code, with all that is said.
async fn refused(night: &Night, bytes: &[u8]) -> (String, String) {
    let before = version(night).await;
    let failure = install(night, bytes).await.unwrap_err();
    assert_eq!(version(night).await, before, "nothing was installed");
    (failure.code.clone(), format!("{failure} {:?} {:?}", failure.evidence, failure.hint))
}

#[tokio::test]
async fn only_a_key_that_the_site_trusts_counts() {
    let (vendor, other) = (Vendor::new(), Vendor::new());
    let id = |vendor: &Vendor| uplift::site::PublicKey::parse(&vendor.public()).unwrap().id();
    let night = site(&vendor);
    let bundle = other.unchecked(&manifest(), &[("look", LOOK)]);
    let (code, said) = refused(&night, &bundle).await;
    assert_eq!(code, "bundle_untrusted");
    assert!(said.contains(&id(&other)) && said.contains(&id(&vendor)), "{said}");
    // A site that trusts nobody yet is told what to write, and whose key it is.
    night.settings("# nothing yet\n");
    let (code, said) = refused(&night, &bundle).await;
    assert_eq!(code, "bundle_untrusted");
    assert!(said.contains(&id(&other)) && said.contains("none yet"), "{said}");
    assert!(said.contains("`uplift init --trust KEY`") && said.contains("[trust]"), "{said}");
    night.settings(&format!("[trust]\nkeys = [\"{}\", \"{}\"]\n", vendor.public(), other.public()));
    install(&night, &bundle).await.unwrap();
    // Whoever is no longer trusted is no longer run.
    night.settings(&format!("[trust]\nkeys = [\"{}\"]\n", vendor.public()));
    let error = night.host().await.runbook("compose/backup", &[].into()).await.err().unwrap();
    assert_eq!(error.failure().code, "bundle_untrusted");
    assert!(error.failure().message.contains("`patch` 1.1.0"), "{error}");
}

#[tokio::test]
async fn no_byte_can_be_another() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let bundle = vendor.unchecked(&manifest(), &[("look", LOOK)]);
    let bundles = bundles(&night).await;
    for at in 0..bundle.len() {
        for bit in [0x01, 0x20] {
            let mut other = bundle.clone();
            other[at] ^= bit;
            put(&night, &other);
            let text = String::from_utf8_lossy(&other[at..]).chars().take(20).collect::<String>();
            let failure = bundles.offer(BUNDLE).await.err().unwrap_or_else(|| panic!("byte {at}: {text}"));
            let code = failure.failure().code;
            let known =
                ["bundle_tampered", "bundle_unsigned", "bundle_format", "bundle_untrusted", "bundle_newer"];
            assert!(known.contains(&code.as_str()), "byte {at}: {code}");
        }
    }
    for cut in [0, 1, 36, 37, 100, bundle.len() / 2, bundle.len() - 1] {
        put(&night, &bundle[..cut]);
        assert!(bundles.offer(BUNDLE).await.is_err(), "{cut} bytes of it");
    }
    put(&night, &[bundle.as_slice(), b"\n"].concat());
    assert!(bundles.offer(BUNDLE).await.is_err(), "something comes after it");
    put(&night, &bundle);
    assert!(bundles.offer(BUNDLE).await.is_ok());
}

#[tokio::test]
async fn what_is_not_signed_is_refused() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let bundle = String::from_utf8(vendor.unchecked(&manifest(), &[("look", LOOK)])).unwrap();
    let content: Vec<_> = bundle.split_inclusive('\n').take(2).collect();
    assert_eq!(refused(&night, content.concat().as_bytes()).await.0, "bundle_unsigned");
    // A signature of something else of the same vendor.
    let other = String::from_utf8(vendor.signed("something else\n")).unwrap();
    let signature = other.split_once('\n').unwrap().1;
    assert_eq!(
        refused(&night, format!("{}{signature}", content.concat()).as_bytes()).await.0,
        "bundle_tampered"
    );
    assert_eq!(refused(&night, b"const RUNBOOK = 1;\n").await.0, "bundle_format");
    let later = vendor.signed("uplift bundle of runbooks, format 2\nwhatever\n");
    assert_eq!(refused(&night, &later).await.0, "bundle_newer");
}

#[tokio::test]
async fn what_was_signed_must_fit_too() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let large = format!("{LOOK}//{}", "x".repeat(1 << 20));
    let step = format!("{LOOK}step \"a\" {{ env_st(#{{ A: \"b\" }}); }}\n");
    for (manifest, files, code, words) in [
        (with("product", json!("mattermost")), ("look", LOOK), "bundle_product", "`mattermost`"),
        (with("api", json!(2)), ("look", LOOK), "bundle_api", "install uplift 7.7.7 first"),
        (with("name", json!("../patch")), ("look", LOOK), "manifest_invalid", "`../patch`"),
        (with("later", json!(true)), ("look", LOOK), "bundle_format", "`later`"),
        (manifest(), ("../look", LOOK), "pack_strange", "`../look.rhai`"),
        (manifest(), ("uplift/lib/look", LOOK), "pack_strange", "a site's own"),
        (manifest(), ("look", large.as_str()), "bundle_large", "1 MiB"),
        (manifest(), ("look", step.as_str()), "bundle_invalid", "did you mean `env_set`?"),
        (manifest(), ("lib/checks", "fn host() {}"), "bundle_invalid", "compose/upgrade"),
    ] {
        let (found, said) = refused(&night, &vendor.unchecked(&manifest, &[files])).await;
        assert_eq!(found, code, "{said}");
        assert!(said.contains(words), "{said}");
    }
    let (code, said) = refused(&night, "x".repeat((4 << 20) + 1).as_bytes()).await;
    assert_eq!(code, "bundle_large");
    assert!(said.contains("4 MiB"), "{said}");
    assert_eq!(
        bundles(&night).await.offer("/vendor/none").await.err().unwrap().failure().code,
        "bundle_missing"
    );
    let plain = "http://downloads.example/patch.bundle";
    assert_eq!(bundles(&night).await.offer(plain).await.err().unwrap().failure().code, "download_address");
}

#[tokio::test]
async fn nothing_older_and_nothing_else_takes_the_place_of_what_is_installed() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    let text = patched();
    let pack = async |version: &str, text: &str| {
        vendor.pack(&night.world, version, &[("compose/upgrade.rhai", text)]).await
    };
    let (older, now) = (pack("1.1.0-rc.1", &text).await, pack("1.1.0", &text).await);
    install(&night, &now).await.unwrap();
    let (code, said) = refused(&night, &older).await;
    assert_eq!(code, "bundle_older");
    assert!(said.contains("uplift runbook revert"), "{said}");
    let other = pack("1.1.0", &format!("{text}// more\n")).await;
    assert_eq!(refused(&night, &other).await.0, "bundle_same_version");
    let other = vendor.unchecked(&with("name", json!("other")), &[("look", LOOK)]);
    assert_eq!(refused(&night, &other).await.0, "bundle_other");
    // Also where it was taken away meanwhile.
    revert(&night, true).await.unwrap();
    let (code, said) = refused(&night, &older).await;
    assert_eq!(code, "bundle_older");
    assert!(said.contains("was installed here before"), "{said}");
    assert_eq!(
        refused(&night, &pack("1.1.0", &format!("{text}// more\n")).await).await.0,
        "bundle_same_version"
    );
    install(&night, &now).await.unwrap();
    // The same once more is no change, also if it was signed once more.
    put(&night, &pack("1.1.0", &text).await);
    assert!(bundles(&night).await.offer(BUNDLE).await.unwrap().exchange.is_none());
    // Somebody else was quicker.
    put(&night, &pack("1.2.0", &text).await);
    let offer = bundles(&night).await.offer(BUNDLE).await.unwrap();
    install(&night, &pack("1.3.0", &text).await).await.unwrap();
    let late = bundles(&night).await.take(&offer, "uplift runbook install").await.err().unwrap();
    assert_eq!(late.failure().code, "bundle_meanwhile");
    assert_eq!(version(&night).await.as_deref(), Some("1.3.0"));
}
