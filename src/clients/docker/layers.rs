//! Names of files in an image, read from the archive that the engine exports: no container is made for it, and no
//! layer is held in memory.

mod fold;

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
};

use futures::StreamExt as _;
use serde::Deserialize;
use tar::{Archive, EntryType};
use tokio::sync::mpsc;

use self::fold::{Layer, merged, parts};
use super::{EngineClient, failed};
use crate::{clients::files::blocking, event::Failure, ports::docker::DockerRead as _};

/// Pieces of the export that may wait to be read.
const WAITING: usize = 8;
/// No index of an image is longer.
const INDEX: u64 = 4 << 20;

impl EngineClient {
    /// Names of the files directly in `folder`, sorted.
    pub(super) async fn listed(&self, image_id: &str, folder: &str) -> Result<Vec<String>, Failure> {
        if self.image(image_id).await?.is_none() {
            return Err(failed::not_on_host(image_id));
        }
        let (feed, pieces) = mpsc::channel(WAITING);
        let folder = parts(folder.as_ref());
        let unreadable = {
            let image = image_id.to_owned();
            move |error: io::Error| {
                let text = format!("the image `{image}` cannot be read: {error}");
                Failure::new("image_unreadable", text)
                    .hint(format!("see whether it is whole: `docker image save {image} | wc -c`"))
            }
        };
        let reading = blocking(move || read(Pieces::new(pieces), &folder).map_err(unreadable));
        let mut export = self.api().await?.export_image(image_id);
        let sending = async {
            while let Some(piece) = export.next().await {
                // The reader may have found all that it needs.
                if feed.send(piece.map_err(|error| self.answered(&error))?).await.is_err() {
                    break;
                }
            }
            drop(feed);
            Ok::<_, Failure>(())
        };
        let (sent, files) = tokio::join!(sending, reading);
        // A broken export is why the reader failed.
        sent.and(files)
    }
}

/// The export as something to read. Ends when its sender is gone, so that the thread never outlives the question.
struct Pieces<T> {
    from: mpsc::Receiver<T>,
    piece: Option<Cursor<T>>,
}

impl<T: AsRef<[u8]>> Pieces<T> {
    fn new(from: mpsc::Receiver<T>) -> Self {
        Self { from, piece: None }
    }
}

impl<T: AsRef<[u8]>> Read for Pieces<T> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(piece) = &mut self.piece {
                let read = piece.read(to)?;
                if read > 0 || to.is_empty() {
                    return Ok(read);
                }
            }
            match self.from.blocking_recv() {
                Some(piece) => self.piece = Some(Cursor::new(piece)),
                None => return Ok(0),
            }
        }
    }
}

#[derive(Deserialize)]
struct Index {
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

/// Goes once through an export. The order of the layers is known only at its end, so what each says about the
/// folder is kept by its name until then.
fn read(export: impl Read, folder: &[String]) -> io::Result<Vec<String>> {
    let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
    let mut links: BTreeMap<String, String> = BTreeMap::new();
    let mut index: Option<Vec<Index>> = None;
    let mut archive = Archive::new(export);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = parts(&entry.path()?).join("/");
        match entry.header().entry_type() {
            EntryType::Symlink | EntryType::Link => {
                if let Some(target) = entry.link_name()? {
                    // Engines before 25 keep a layer that comes twice as a link to the first.
                    let beside = parts(&entry.path()?.with_file_name("").join(target));
                    links.insert(name, beside.join("/"));
                }
            }
            EntryType::Regular | EntryType::Continuous if name == "manifest.json" => {
                index = Some(serde_json::from_reader(entry.take(INDEX))?);
            }
            EntryType::Regular | EntryType::Continuous => {
                if let Some(layer) = layer(&mut entry, folder)? {
                    layers.insert(name, layer);
                }
            }
            _ => {}
        }
    }
    let index = index.and_then(|index| index.into_iter().next());
    let index = index.ok_or_else(|| io::Error::other("the export ends before its index"))?;
    let ordered = index.layers.iter().map(|name| {
        let name = parts(name.as_ref()).join("/");
        let found = layers.get(&name).or_else(|| layers.get(links.get(&name)?));
        found.ok_or_else(|| io::Error::other(format!("the layer `{name}` is missing")))
    });
    Ok(merged(&ordered.collect::<io::Result<Vec<_>>>()?))
}

/// What a part of the export says about the folder; `None` if it is no layer. Engines that keep layers as the
/// registry sent them export them compressed.
fn layer(part: &mut impl Read, folder: &[String]) -> io::Result<Option<Layer>> {
    let mut head = Vec::new();
    part.take(512).read_to_end(&mut head)?;
    let kind = Kind::of(&head);
    let whole = Cursor::new(head).chain(part);
    Ok(match kind {
        Kind::Tar => Some(Layer::read(whole, folder)?),
        Kind::Gzip => Some(Layer::read(flate2::read::MultiGzDecoder::new(whole), folder)?),
        Kind::Zstd => Some(Layer::read(zstd::Decoder::new(whole)?, folder)?),
        Kind::Other => None,
    })
}

enum Kind {
    Tar,
    Gzip,
    Zstd,
    Other,
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        let is_empty_tar = head.len() == 512 && head.iter().all(|byte| *byte == 0);
        if is_empty_tar || head.get(257..262) == Some(b"ustar") {
            Self::Tar
        } else if head.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn layers_count_in_the_order_of_the_index_however_they_are_packed() {
        let first = tar(&[("app/db/1.rb", b"one"), ("app/db/2.rb", b"two"), ("app/other", b"")]);
        let second = tar(&[("app/db/.wh.1.rb", b""), ("app/db/3.rb", b"three")]);
        let packed = zstd::encode_all(second.as_slice(), 1).unwrap();
        let index = br#"[{"Config":"c.json","Layers":["blobs/a","blobs/b"]}]"#;
        for (first, second) in [(first.clone(), packed), (gzip(&first), second)] {
            let export = tar(&[
                ("blobs/b", second.as_slice()),
                ("blobs/c.json", b"{}"),
                ("blobs/a", first.as_slice()),
                ("manifest.json", index),
            ]);
            let found = read(export.as_slice(), &parts("/app/db/".as_ref())).unwrap();
            assert_eq!(found, ["2.rb", "3.rb"]);
        }
    }

    #[test]
    fn an_export_that_ends_early_is_no_answer() {
        let layer = tar(&[("app/db/1.rb", b"one")]);
        let export = tar(&[("a/layer.tar", &layer)]);
        assert!(read(export.as_slice(), &parts("/app/db".as_ref())).is_err());
        let export = tar(&[("manifest.json", br#"[{"Layers":["a/layer.tar"]}]"#)]);
        assert!(read(export.as_slice(), &parts("/app/db".as_ref())).is_err());
    }
}
