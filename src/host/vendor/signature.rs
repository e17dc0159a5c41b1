//! Minisign signatures, made and proved.

use std::io::Cursor;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use minisign::{PublicKey as Key, SecretKey, SecretKeyBox, SignatureBox};

use crate::{
    event::Failure,
    site::{PublicKey, Secret, key_id},
};

/// The line above a signature, which no signature covers: with one text only, no byte of a bundle is free.
const COMMENT: &str = "signature from minisign secret key";
const COMMENT_OF_OTHERS: &str = "signature from rsign secret key";

/// The id of the key that has signed `content`, if the signature is right and the key one of `trusted`.
pub(super) fn proved(content: &[u8], signature: &str, trusted: &[PublicKey]) -> Result<String, Failure> {
    let unsigned = || {
        Failure::new("bundle_unsigned", "there is no whole minisign signature at the end of the bundle")
            .hint("take the file that ends in `.bundle`, and take it whole; who has made it signs it")
    };
    let signature_box = SignatureBox::from_string(signature).map_err(|_| unsigned())?;
    let comment = signature_box.untrusted_comment().unwrap_or_default();
    let usual = [COMMENT, COMMENT_OF_OTHERS].contains(&comment.as_str());
    if !usual || !signature_box.is_prehashed() {
        let text = "the signature of the bundle is none that covers every byte of it: it was made in another way, or changed on its way";
        return Err(Failure::new("bundle_unsigned", text)
            .hint("get it anew; who has made it signs it with `minisign -S` alone, without `-c` and `-l`"));
    }
    // The same bytes again: nothing that is not signed can hide in spaces or in the ends of base64.
    if signature_box.to_string() != signature {
        return Err(unsigned());
    }
    let id = key_id(signature_box.keynum()).ok_or_else(unsigned)?;
    let key = trusted.iter().find(|key| key.id() == id).ok_or_else(|| untrusted(&id, trusted))?;
    let proved = minisign::verify(&read(key)?, &signature_box, Cursor::new(content), true, false, false);
    proved.map_err(|_| {
        let text = format!("this is not what the key {id} has signed: it was changed or damaged on its way");
        Failure::new("bundle_tampered", text).hint("get it anew from who has made it; nothing was installed")
    })?;
    Ok(id)
}

fn untrusted(id: &str, trusted: &[PublicKey]) -> Failure {
    let text = format!("it is signed by the key {id}, which this site does not trust");
    let known: Vec<_> = trusted.iter().map(PublicKey::id).collect();
    let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    Failure::new("bundle_untrusted", text).evidence([format!("keys that the site trusts: {known}")]).hint(
        "if its maker publishes that key: `uplift init --trust KEY`, which writes it into `uplift.toml` under `[trust]` \
         as `keys = [\"KEY\"]`; KEY begins with `RW`",
    )
}

fn read(key: &PublicKey) -> Result<Key, Failure> {
    Key::from_base64(key.as_str()).map_err(|error| {
        Failure::new("trust_key", format!("the key `{key}` cannot be used: {error}"))
            .hint("take the line of the `.pub` file that begins with `RW`")
    })
}

/// A secret key that signs.
pub struct SigningKey(SecretKey);

/// The file of a secret key, which may want a password.
pub struct KeyFile(SecretKeyBox);

impl KeyFile {
    pub(super) fn of(text: String) -> Self {
        Self(text.into())
    }

    /// The key, where no password protects it.
    #[must_use]
    pub fn open(&self) -> Option<SigningKey> {
        let whole = self.0.clone().into_unencrypted_secret_key().ok();
        whole.or_else(|| without_checksum(&self.0)).map(SigningKey)
    }

    /// The key that `password` protects. Takes a second of work.
    ///
    /// # Errors
    ///
    /// `key_unusable` where the password is another one, or the file is no secret key.
    pub fn unlock(self, password: &Secret) -> Result<SigningKey, Failure> {
        let key = self.0.into_secret_key(Some(password.reveal().to_owned()));
        key.map(SigningKey).map_err(|error| {
            let why = error.to_string().to_lowercase();
            Failure::new("key_unusable", format!("the key cannot be used to sign: {why}"))
                .hint("name the secret key that `minisign -G` has made, and give its password")
        })
    }
}

/// What `minisign -G -W` writes: a key without a password, and zeros where its checksum would be.
fn without_checksum(file: &SecretKeyBox) -> Option<SecretKey> {
    let text = file.clone().into_string();
    let bytes = BASE64_STANDARD.decode(text.lines().nth(1)?.trim()).ok()?;
    let (derivation, checksum) = (bytes.get(2..4)?, bytes.get(bytes.len().checked_sub(CHECKSUM)?..)?);
    let plain = derivation == [0; 2] && checksum == [0; CHECKSUM];
    SecretKey::from_bytes(&bytes).ok().filter(|_| plain)
}

/// Bytes at the end of a secret key.
const CHECKSUM: usize = 32;

impl SigningKey {
    /// The id, as `minisign` names it.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(self.0.keynum()).unwrap_or_default()
    }

    /// What a site that trusts it writes down.
    pub fn public(&self) -> Result<String, Failure> {
        let key = Key::from_secret_key(&self.0).map_err(|error| cannot_sign(&error))?;
        Ok(key.to_base64())
    }

    pub(super) fn sign(&self, content: &[u8], about: &str) -> Result<String, Failure> {
        let made = minisign::sign(None, &self.0, Cursor::new(content), Some(about), Some(COMMENT));
        Ok(made.map_err(|error| cannot_sign(&error))?.to_string())
    }
}

fn cannot_sign(error: &minisign::PError) -> Failure {
    Failure::new("key_unusable", format!("the key cannot be used to sign: {error}"))
        .hint("name the secret key that `minisign -G` has made")
}
