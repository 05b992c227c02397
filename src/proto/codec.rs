//! How messages become bytes: as prost does it, with small buffers.
//!
//! Promises: an idle stream holds 2 KiB of buffers. An agent has ten thousand streams that say
//! something once in minutes, and the buffers that are usual (8 KiB each way, taken when a stream
//! opens) would be most of its memory.
//! Refuses: compression; what goes over these streams is short or random.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::BufferSettings;
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The codec of every generated service.
#[derive(Clone, Copy, Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

/// What a stream holds each way before anything is said.
const BUFFER_BYTES: usize = 1_024;
/// How much is gathered before it goes out, as tonic has it.
const YIELD_BYTES: usize = 32 * 1_024;
