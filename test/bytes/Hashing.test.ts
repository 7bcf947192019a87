import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { blake2b256, checksum, displayHash, sha256d, shortInputBytes } from "../../src/bytes/Hashing.ts"
import { sha256Words } from "../../src/bytes/ShortSha256.ts"

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest()

/** Bytes that differ from place to place. */
const bytesOf = (length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 167 + length) & 0xff))

const hexOfWords = (words: Int32Array): string =>
  [...words].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("")

describe("SHA-256 in JavaScript", () => {
  it("has the digests of FIPS 180-4's examples", () => {
    for (const [text, digest] of [
      ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
      ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
      [
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ]
    ] as const) {
      assert.strictEqual(hexOfWords(sha256Words(Buffer.from(text))), digest)
    }
  })

  it("agrees with node:crypto on every length across several blocks", () => {
    for (let length = 0; length <= 400; length++) {
      assert.strictEqual(hexOfWords(sha256Words(bytesOf(length))), sha256(bytesOf(length)).toString("hex"))
    }
  })
})

describe("double SHA-256", () => {
  it("is the same whichever of both computed it", () => {
    const lengths = [...Array.from({ length: 2 * shortInputBytes }, (_, i) => i), 1024, 65_537]
    for (const length of lengths) {
      const expected = sha256(sha256(bytesOf(length)))
      assert.deepStrictEqual(sha256d(bytesOf(length)), expected, String(length))
      assert.strictEqual(checksum(bytesOf(length)), expected.readUInt32LE(0), String(length))
    }
  })

  it("keeps a result when another one is computed", () => {
    const first = sha256d(bytesOf(1))
    const copy = Buffer.from(first)
    sha256d(bytesOf(2))
    assert.deepStrictEqual(first, copy)
  })

  it("of nothing and of hello begin with the checksums everybody knows", () => {
    assert.strictEqual(sha256d(Buffer.alloc(0)).toString("hex", 0, 4), "5df6e0e2")
    assert.strictEqual(sha256d(Buffer.from("hello")).toString("hex", 0, 4), "9595c9df")
  })
})

describe("personalised BLAKE2b", () => {
  // ZIP 244's digests of nothing, in the order of the wire; zcash-test-vectors.
  for (const [personalization, digest] of [
    ["ZTxIdTranspaHash", "c33f2e95705faab35f8d533fa61e95c3b7aaba0776b874a9f74fc12784376a59"],
    ["ZTxIdSaplingHash", "6f2fc8f98feafd94e74a0df4bed74391ee0b5a69945e4ced8ca8a095206f00ae"],
    ["ZTxIdOrchardHash", "9fbe4ed13b0c08e671c11a3407d84e1117cd45028a2eee1b9feae78b48a6e2c1"],
    ["ZTxIdIronwd_H_v6", "b9cfe643ce45b28c33190f0d5223e475972f2a149dc54404fd8365521f8416c5"],
    ["ZTxAuthIrnwdH_v6", "ec9768fdaa11f12cdb13f566b595843f3d0e92b6703eafff172e21345b586133"]
  ] as const) {
    it(`of nothing, for ${personalization}, is the published digest`, () => {
      assert.strictEqual(blake2b256(Buffer.from(personalization), () => undefined).toString("hex"), digest)
    })
  }

  it("does not depend on how its input is cut", () => {
    const bytes = bytesOf(500)
    const personalization = Buffer.from("ZTxIdOutputsHash")
    const whole = blake2b256(personalization, (input) => input.update(bytes, 0, 500))
    const cut = blake2b256(personalization, (input) => {
      for (let at = 0; at < 500; at += 7) input.update(bytes, at, Math.min(500, at + 7))
    })
    assert.deepStrictEqual(cut, whole)
  })
})

describe("a hash for the eyes", () => {
  it("has its bytes reversed, from wherever they begin", () => {
    const bytes = Buffer.concat([Buffer.from([9]), Uint8Array.from({ length: 32 }, (_, i) => i)])
    assert.strictEqual(displayHash(bytes, 1), "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100")
  })
})
