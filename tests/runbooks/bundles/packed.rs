use base64::{Engine as _, prelude::BASE64_STANDARD};
use minisign::KeyPair;
use uplift::{Host, HostBuilder, Start, World, site::Secret};

use super::maker::{BUNDLE, Vendor, bundles, install, manifest, patched, put, site, version};
use crate::runbooks::night::Night;

const LOOK: &str = "const RUNBOOK = #{ api: 1, summary: \"a look\" };\n";

fn host(world: &World) -> HostBuilder {
    Host::at(Start::default()).ports(world.ports())
}

#[tokio::test]
async fn a_folder_that_would_not_work_is_refused_with_what_is_wrong() {
    let vendor = Vendor::new();
    let world = World::strata();
    let good = manifest("1.1.0");
    for (manifest, files, code, words) in [
        (good.replace("api = 1", "api = 2"), [("look.rhai", LOOK)], "bundle_api", "API level 2"),
        (good.replace("serves", "servs"), [("look.rhai", LOOK)], "manifest_invalid", "line 5"),
        (good.replace(">=1.0", ">>1"), [("look.rhai", LOOK)], "manifest_invalid", "line 5"),
        (good.replace("\"1.1.0\"", "\"1.1\""), [("look.rhai", LOOK)], "manifest_invalid", "line 2"),
        (good.replace("waits longer", ""), [("look.rhai", LOOK)], "manifest_invalid", "summary"),
        (good.clone(), [("notes.txt", "hello")], "pack_strange", "notes.txt"),
        (good.clone(), [("lo ok.rhai", LOOK)], "pack_strange", "lo ok"),
        (good.clone(), [("lib.rhai", LOOK)], "pack_strange", "lib"),
        (good.clone(), [("hooks/compose/upgrade.rhai", "")], "pack_strange", "a site's own"),
        (good.clone(), [("look.rhai", "nothing();")], "bundle_invalid", "look"),
        (
            good.clone(),
            [("lib/unused.rhai", "fn a() { no_such_thing(); }")],
            "bundle_invalid",
            "lib/unused:1",
        ),
        (good.clone(), [("tests/unused.rhai", "fn a( {")], "bundle_invalid", "tests/unused:1"),
        (good.clone(), [("lib/checks.rhai", "fn host() { }")], "bundle_invalid", "compose/upgrade"),
        (good.clone(), [(".hidden", "")], "pack_empty", "no runbook"),
    ] {
        let failure = vendor.try_pack(&world, &manifest, &files).await.unwrap_err().failure();
        let said = format!("{failure} {} {:?}", failure.evidence.join("\n"), failure.hint);
        assert_eq!(failure.code, code, "{files:?}: {said}");
        assert!(said.contains(words), "{files:?}: {said}");
        assert!(failure.hint.is_some(), "{said}");
    }
    assert_eq!(
        host(&world).packed("/nowhere".as_ref()).await.err().unwrap().failure().code,
        "manifest_missing"
    );
    assert!(world.file(BUNDLE).is_none(), "nothing was written");
    // A file that is something else stays.
    world.put_file(BUNDLE, "my letters", 0o644);
    let there = vendor.try_pack(&world, &good, &[("look.rhai", LOOK)]).await.unwrap_err();
    assert_eq!(there.failure().code, "pack_there");
}

#[tokio::test]
async fn what_is_signed_elsewhere_is_put_together_by_one_after_the_other() {
    let vendor = Vendor::new();
    let night = site(&vendor);
    for (name, text) in [("manifest.toml", manifest("1.1.0")), ("compose/upgrade.rhai", patched())] {
        night.world.put_file(format!("/vendor/x/{name}"), &text, 0o644);
    }
    let packed = host(&night.world).packed("/vendor/x".as_ref()).await.unwrap();
    let path = packed.write(None, "/vendor/x.unsigned".as_ref()).await.unwrap();
    let unsigned = night.world.file(path).unwrap().bytes;
    put(&night, &unsigned);
    assert_eq!(bundles(&night).await.offer(BUNDLE).await.err().unwrap().failure().code, "bundle_unsigned");
    install(&night, &vendor.signed(&String::from_utf8(unsigned).unwrap())).await.unwrap();
    assert_eq!(version(&night).await.as_deref(), Some("1.1.0"));
}

#[tokio::test]
async fn a_key_with_a_password_signs_once_that_is_given() {
    let world = World::strata();
    let pair = KeyPair::generate_encrypted_keypair(Some("a long word".to_owned())).unwrap();
    world.put_file("/vendor/key", pair.sk.to_box(None).unwrap().into_string(), 0o600);
    let key = async || host(&world).key("/vendor/key".as_ref()).await.unwrap();
    assert!(key().await.open().is_none());
    let wrong = key().await.unlock(&Secret::new("another")).err().unwrap();
    assert_eq!(wrong.code, "key_unusable");
    assert!(wrong.message.contains("wrong password"), "{wrong}");
    let key = key().await.unlock(&Secret::new("a long word")).unwrap();
    assert_eq!(key.public().unwrap(), pair.pk.to_base64());
    let missing = host(&world).key("/vendor/none".as_ref()).await.err().unwrap();
    assert_eq!(missing.failure().code, "key_missing");
    world.put_file("/vendor/none", "no key\n", 0o600);
    let none = host(&world).key("/vendor/none".as_ref()).await.unwrap();
    assert!(none.open().is_none());
    assert_eq!(none.unlock(&Secret::new("x")).err().unwrap().code, "key_unusable");
}

/// The program `minisign` writes no checksum into a key that has no password.
#[tokio::test]
async fn a_key_without_a_password_signs_as_minisign_has_made_it() {
    let world = World::strata();
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let text = pair.sk.to_box(None).unwrap().into_string();
    let (comment, key) = text.trim_end().split_once('\n').unwrap();
    let mut bytes = BASE64_STANDARD.decode(key).unwrap();
    let end = bytes.len() - 32;
    bytes[end..].fill(0);
    let opened = async |bytes: &[u8]| {
        world.put_file("/vendor/key", format!("{comment}\n{}\n", BASE64_STANDARD.encode(bytes)), 0o600);
        host(&world).key("/vendor/key".as_ref()).await.unwrap().open()
    };
    assert_eq!(opened(&bytes).await.unwrap().public().unwrap(), pair.pk.to_base64());
    bytes[end] = 1;
    assert!(opened(&bytes).await.is_none(), "a checksum that is wrong is no missing one");
    assert!(opened(&[0; 8]).await.is_none(), "nor is half a key one");
}

/// Every bundle that was ever published must stay readable. This one the program `minisign` has signed.
#[tokio::test]
async fn a_bundle_of_format_1_is_read_for_ever() {
    let night = Night::of(World::strata());
    let key = include_str!("format-1.pub").lines().last().unwrap();
    night.settings(&format!("[trust]\nkeys = [\"{key}\"]\n"));
    install(&night, include_bytes!("format-1.bundle")).await.unwrap();
    let (shipped, runbooks) = bundles(&night).await.installed().await.unwrap().unwrap();
    assert_eq!(shipped.to_string(), "`golden` 1.2.3");
    assert_eq!(runbooks, ["compose/look"]);
    assert!(matches!(
        night.run("compose/look", &[]).await.ending,
        uplift::Ending::Done | uplift::Ending::NothingNeeded { .. }
    ));
}
