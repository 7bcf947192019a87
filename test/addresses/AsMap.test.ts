/** Which autonomous system an address is in, by a file of Bitcoin Core's format. */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Result } from "effect"
import { NetAddress } from "effect/net"
import { AddressGroups, byNetwork, bySystem, layerFile, report } from "../../src/addresses/AddressGroups.ts"
import * as AsMap from "../../src/addresses/AsMap.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { answer, fallback, ipv4Prefix, jump, match8, program } from "../support/asMaps.ts"
import { address } from "../support/bookWorld.ts"
import { linesOf } from "../support/logs.ts"

/** Data of Bitcoin Core's test/netbase_tests.cpp, `asmap_test_vectors`: 128 ranges, in no relation to the internet. */
const published = Buffer.from(
  "fd38d50f7d5d665357f64bba6bfc190d6078a7e68e5d3ac032edf47f8b5755f87881bfd3633d9aa7c1fa279b3" +
    "6fe26c63bbc9de44e0f04e5a382d8e1cddbe1c26653bc939d4327f287e8b4d1f8aff33176787cb0ff7cb28e3f" +
    "daef0f8f47357f801c9f7ff7a99f7f9c9f99de7f3156ae00f23eb27a303bc486aa3ccc31ec19394c2f8a53ddd" +
    "ea3cc56257f3b7e9b1f488be9c1137db823759aa4e071eef2e984aaf97b52d5f88d0f373dd190fe45e06efef1" +
    "df7278be680a73a74c76db4dd910f1d30752c57fe2bc9f079f1a1e1b036c2a69219f11c5e11980a3fa51f4f82" +
    "d36373de73b1863a8c27e36ae0e4f705be3d76ecff038a75bc0f92ba7e7f6f4080f1c47c34d095367ecf4406c" +
    "1e3bbc17ba4d6f79ea3f031b876799ac268b1e0ea9babf0f9a8e5f6c55e363c6363df46afc696d7afceaf49b6" +
    "e62df9e9dc27e70664cafe5c53df66dd0b8237678ada90e73f05ec60e6f6e96c3cbb1ea2f9dece115d5bdba10" +
    "33e53662a7d72a29477b5beb35710591d3e23e5f0379baea62ffdee535bcdf879cbf69b88d7ea37c8015381cf" +
    "63dc33d28f757a4a5e15d6a08",
  "hex"
)

const inPublished: ReadonlyArray<readonly [ip: string, system: number | undefined]> = [
  ["0:1559:183:3728:224c:65a5:62e6:e991", 961_340],
  ["d0:d493:faa0:8609:e927:8b75:293c:f5a4", 961_340],
  ["2a0:26f:8b2c:2ee7:c7d1:3b24:4705:3f7f", 693_761],
  ["a77:7cd4:4be5:a449:89f2:3212:78c6:ee38", undefined],
  ["1336:1ad6:2f26:4fe3:d809:7321:6e0d:4615", 672_176],
  ["1d56:abd0:a52f:a8d5:d5a7:a610:581d:d792", 499_880],
  ["378e:7290:54e5:bd36:4760:971c:e9b9:570d", undefined],
  ["406c:820b:272a:c045:b74e:fc0a:9ef2:cecc", 248_495],
  ["46c2:ae07:9d08:2d56:d473:2bc7:57e3:20ac", 248_495],
  ["50d2:3db6:52fa:2e7:12ec:5bc4:1bd1:49f9", 124_471],
  ["53e1:1812:ffa:dccf:f9f2:64be:75fa:795", 539_993],
  ["544d:eeba:3990:35d1:ad66:f9a3:576d:8617", 374_443],
  ["6a53:40dc:8f1d:3ffa:efeb:3aa3:df88:b94b", 435_070],
  ["87aa:d1c9:9edb:91e7:aab1:9eb9:baa0:de18", 244_121],
  ["9f00:48fa:88e3:4b67:a6f3:e6d2:5cc1:5be2", 862_116],
  ["c49f:9cc6:86ad:ba08:4580:315e:dbd1:8a62", 969_411],
  ["dff5:8021:61d:b17d:406d:7888:fdac:4a20", 969_411],
  ["e888:6791:2960:d723:bcfd:47e1:2d8c:599f", 824_019],
  ["ffff:d499:8c4b:4941:bc81:d5b9:b51e:85a8", 824_019]
]

const mapOf = (bytes: Uint8Array) => Result.getOrThrow(AsMap.decode(bytes))
const faultOf = (bytes: Uint8Array) =>
  Result.match(AsMap.decode(bytes), { onFailure: ({ reason }) => reason, onSuccess: () => undefined })
const at = (ip: string) => PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(ip), 8233)

/** AS 7 for 0::/1, AS 9 for 8000::/1: one jump over 17 bits. */
const halves = program(jump(17), answer(7), answer(9))

describe("a map of autonomous systems", () => {
  it("answers as Bitcoin Core does", () => {
    const map = mapOf(published)
    for (const [ip, system] of inPublished) assert.strictEqual(AsMap.systemOf(map, at(ip)), system, ip)
  })

  it("reads a bit of an address at a jump, and several at a match", () => {
    const map = mapOf(halves)
    assert.strictEqual(AsMap.systemOf(map, at("7fff::1")), 7)
    assert.strictEqual(AsMap.systemOf(map, at("8000::1")), 9)
    const matching = mapOf(program(fallback(5), match8("00100000"), answer(6)))
    assert.strictEqual(AsMap.systemOf(matching, at("20ff::1")), 6)
    assert.strictEqual(AsMap.systemOf(matching, at("2100::1")), 5)
  })

  it("has IPv4 addresses where they are mapped to, and those that carry one beside it", () => {
    const map = mapOf(program(ipv4Prefix, match8("11001011"), answer(15_496)))
    const carrying = ["203.0.113.9", "2002:cb00:7109::1", "2001::34ff:8ef6", "64:ff9b::cb00:7109", "::ffff:0:cb00:7109"]
    for (const ip of carrying) assert.strictEqual(AsMap.systemOf(map, at(ip)), 15_496, ip)
    for (const ip of ["204.0.113.9", "2002:cc00::1", "::1"]) assert.isUndefined(AsMap.systemOf(map, at(ip)), ip)
  })

  it("is refused when it is anything else, with what is wrong", () => {
    const cases: ReadonlyArray<readonly [Uint8Array, string]> = [
      [new Uint8Array(0), "it ends without an answer"],
      [new TextEncoder().encode("203.0.113.0/24 AS64496\n"), "something follows its end"],
      [published.subarray(0, 200), "a jump leads behind its end"],
      [new Uint8Array([...published, 0]), "something follows its end"],
      [new Uint8Array([...halves.subarray(0, -1), halves.at(-1)! | 0x80]), "something follows its end"],
      [program(jump(18), answer(7), answer(9)), "a part of it is never reached"],
      [program(jump(25), answer(7)), "a jump leads behind its end"],
      [program(jump(24), answer(7)), "a part of it is never reached"],
      [program(jump(40), jump(40), answer(1), answer(2), answer(3)), "two jumps cross"],
      [program(fallback(1), fallback(2), answer(3)), "a default follows a default"],
      [program(fallback(1), answer(3)), "an answer follows a default"],
      [
        program(...Array.from({ length: 17 }, () => match8("00000000")), answer(3)),
        "it reads more bits than an address has"
      ],
      [program("110 0 1", "110 0 1", answer(3)), "a pattern is written in more parts than it needs"],
      [
        program(...Array.from({ length: 16 }, () => match8("00000000")), jump(17), answer(1), answer(2)),
        "it reads more bits than an address has"
      ],
      [program("110 11111"), "it ends within a number"],
      [program("111 0 0000"), "it ends within a number"],
      [program("110 10 00", "1"), "it ends within an instruction"],
      [program("0 0000"), "it ends within a number"],
      // 8 MiB, as there.
      [new Uint8Array(8_388_609), "it has more than 8388608 bytes"],
      [new Uint8Array(8_388_608), "something follows its end"]
    ]
    for (const [bytes, reason] of cases) assert.strictEqual(faultOf(bytes), reason, reason)
  })

  it("may read every bit of an address, and not one more", () => {
    const zeros = (eights: number) => Array.from({ length: eights }, () => match8("00000000")).join("")
    const whole = program(zeros(16), answer(3))
    assert.strictEqual(AsMap.systemOf(mapOf(whole), at("::")), 3)
    assert.isUndefined(AsMap.systemOf(mapOf(whole), at("::1")))
    const oneBit = "110 0 0"
    const sevenBits = "110 1111110 0000000"
    const tooMany = "it reads more bits than an address has"
    assert.strictEqual(faultOf(program(zeros(16), oneBit, answer(3))), tooMany)
    const last = program(zeros(15), sevenBits, jump(17), answer(1), answer(2))
    assert.deepStrictEqual(
      ["::", "::1", "::2"].map((ip) => AsMap.systemOf(mapOf(last), at(ip))),
      [1, 2, undefined]
    )
    assert.strictEqual(faultOf(program(zeros(16), jump(17), answer(1), answer(2))), tooMany)
    // Behind a jump as many bits are left as there were before it, on either side.
    const either = program(zeros(15), sevenBits, jump(17), answer(1), oneBit, answer(2))
    assert.strictEqual(faultOf(either), tooMany)
  })

  it("has numbers of every size, each up to the end of the file", () => {
    // Class n of a system has 15 + n bits; each class begins where the one before ends.
    const systemsAt = [
      [`0 0 ${"0".repeat(15)}`, 1],
      [`0 0 ${"1".repeat(15)}`, 32_768],
      [`0 10 ${"0".repeat(16)}`, 32_769],
      [`0 110 ${"0".repeat(17)}`, 98_305],
      [`0 111111111 ${"1".repeat(24)}`, 33_521_664]
    ] as const
    for (const [bits, system] of systemsAt) {
      assert.strictEqual(AsMap.systemOf(mapOf(program(bits)), at("::")), system, bits)
    }
    // Cut by a byte, wherever that is.
    for (let bytes = 1; bytes < 4; bytes++) {
      const cut = program(`0 111111111 ${"1".repeat(24)}`).subarray(0, bytes)
      assert.strictEqual(faultOf(cut), "it ends within a number")
    }
  })

  it("has patterns of one to eight bits, each of which may be any", () => {
    for (let length = 1; length <= 8; length++) {
      for (const pattern of [0, 1, 2 ** length - 2, 2 ** length - 1]) {
        const bits = pattern.toString(2).padStart(length, "0")
        // Class n has n bits, and every class but the last one ends its count with a zero.
        const match = `110 ${"1".repeat(length - 1)}${length === 8 ? "" : "0"}${bits}`
        const map = mapOf(program(fallback(5), match, answer(6)))
        const octet = (value: number) => at(`${value.toString(16).padStart(2, "0")}00::`)
        const fits = Array.from({ length: 256 }, (_, value) => value).filter(
          (value) => AsMap.systemOf(map, octet(value)) === 6
        )
        const first = pattern << (8 - length)
        assert.deepStrictEqual([fits.length, fits[0], fits.at(-1)], [2 ** (8 - length), first, first + fits.length - 1])
      }
    }
  })

  it("has jumps over programs of any length", () => {
    /** A distance as the format writes it: of class n, which begins with 17 and where the one before ends, in 5 + n bits. */
    const jumpOver = (distance: number) => {
      let [least, size] = [17, 5]
      while (distance >= least + 2 ** size) least += 2 ** size++
      return `10 ${"1".repeat(size - 5)}0${(distance - least).toString(2).padStart(size, "0")}`
    }
    assert.strictEqual(jumpOver(17), jump(17))
    for (let eights = 0; eights < 16; eights++) {
      // All zeros on the one side, so many bits of them looked at; AS 9 on the other side.
      const zeros = Array.from({ length: eights }, () => match8("00000000")).join("")
      const map = program(jumpOver(17 + 18 * eights), zeros, answer(7), answer(9))
      const systems = ["::", "8000::", "ffff::"].map((ip) => AsMap.systemOf(mapOf(map), at(ip)))
      assert.deepStrictEqual(systems, [7, 9, 9], String(eights))
    }
    // And of jumps within jumps, each ends where its own second part begins.
    const nested = mapOf(program(jumpOver(42), jump(17), answer(1), answer(2), answer(3)))
    assert.deepStrictEqual(
      ["::", "4000::", "8000::"].map((ip) => AsMap.systemOf(nested, at(ip))),
      [1, 2, 3]
    )
  })

  it("is refused where a jump ends in the middle of something, or where another one does", () => {
    const cases: ReadonlyArray<readonly [Uint8Array, string | undefined]> = [
      // The default has 19 bits, the pattern 18: the one goes on behind the jump's end, the other one ends there.
      [program(jump(18), fallback(1), match8("00000000"), answer(2), answer(3)), "a jump leads into an instruction"],
      [program(jump(18), match8("00000000"), answer(2), answer(3)), "a jump leads into an instruction"],
      [program(jump(35), match8("00000000"), answer(2), answer(3)), undefined],
      [program(jump(25), jump(17), answer(1), answer(2), answer(3)), "two jumps cross"],
      // Two short patterns are one, unless something is between them or one of them has eight bits.
      [program("110 1111110 0000000", "110 0 1", answer(3)), "a pattern is written in more parts than it needs"],
      [program(match8("00000000"), "110 0 1", answer(3)), undefined],
      [program("110 0 1", match8("00000000"), answer(3)), undefined],
      [program("110 0 1", match8("00000000"), "110 0 1", answer(3)), undefined],
      [program("110 0 1", fallback(4), "110 0 1", answer(3)), undefined],
      [program("110 0 1", jump(22), "110 0 1", answer(3), "110 0 1", answer(4)), undefined],
      // Padding is of zeros, up to the end of the byte.
      [program(answer(3), "0000000"), undefined],
      [program(answer(3), "00000000"), "something follows its end"],
      [program(answer(3), "0000001"), "something follows its end"],
      [program(answer(3), "1000000"), "something follows its end"]
    ]
    for (const [bytes, reason] of cases) assert.strictEqual(faultOf(bytes), reason, Buffer.from(bytes).toString("hex"))
  })

  it("answers every address after any damage that is not found (2,000 damaged maps)", () => {
    const draw = SeededRandom.draws("asmap", "damage")
    let accepted = 0
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from(published)
      for (let times = 0; times < 1 + (draw() % 3); times++) bytes[draw() % bytes.length]! ^= 1 << (draw() % 8)
      const map = AsMap.decode(bytes)
      if (Result.isFailure(map)) continue
      accepted++
      for (const [ip] of inPublished) {
        const system = AsMap.systemOf(map.success, at(ip))
        assert.isTrue(system === undefined || (system > 0 && system < 2 ** 26))
      }
    }
    // A number that another number became is no fault of the format.
    assert.isAbove(accepted, 100)
  })

  it("reports how well it fits", () => {
    const addresses = inPublished.map(([ip]) => at(ip))
    assert.deepStrictEqual(AsMap.health(mapOf(published), addresses), {
      addresses: 19,
      unmapped: 2,
      systems: 13,
      largest: 2
    })
    assert.deepStrictEqual(
      AsMap.health(mapOf(halves), [address("[1::1]:1"), address("[9000::1]:1"), address("[a000::1]:1")]),
      {
        addresses: 3,
        unmapped: 0,
        systems: 2,
        largest: 2
      }
    )
    assert.deepStrictEqual(AsMap.health(mapOf(halves), []), { addresses: 0, unmapped: 0, systems: 0, largest: 0 })
  })

  it.effect("is read from a file, and says why when it cannot be", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const folder = yield* files.makeTempDirectoryScoped()
      yield* files.writeFile(`${folder}/map`, published)
      yield* files.writeFile(`${folder}/text`, new TextEncoder().encode("no map"))
      assert.strictEqual(AsMap.systemOf(yield* AsMap.load(`${folder}/map`), at("2a0:26f::")), 693_761)
      const reasons = yield* Effect.forEach([`${folder}/none`, folder, `${folder}/text`], (path) =>
        Effect.map(Effect.flip(AsMap.load(path)), ({ reason }) => reason)
      )
      assert.deepStrictEqual(reasons.slice(0, 2), ["there is no file", "it is a directory"])
      // One byte too many is read too, or the rest would be a map of its own.
      yield* files.truncate(`${folder}/text`, 8_388_609)
      assert.strictEqual((yield* Effect.flip(AsMap.load(`${folder}/text`))).reason, "it has more than 8388608 bytes")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("groups addresses from a file, and by network when that is none, which it says in one line", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const folder = yield* files.makeTempDirectoryScoped()
      yield* files.writeFile(`${folder}/map`, halves)
      yield* files.writeFile(`${folder}/text`, new TextEncoder().encode("no map"))
      const groupBy = (path: string) =>
        Effect.map(AddressGroups, ({ groupOf }) => groupOf(at("9000::1"))).pipe(Effect.provide(layerFile(path)))
      assert.strictEqual(yield* groupBy(`${folder}/map`), "AS9")
      for (const name of ["text", "none"]) {
        let group = ""
        const lines = yield* linesOf(
          Effect.tap(groupBy(`${folder}/${name}`), (found) => Effect.sync(() => (group = found)))
        )
        assert.strictEqual(group, "9000::/32")
        assert.lengthOf(lines, 1)
        assert.match(lines[0]!, /^Warn: not a map of autonomous systems .*; addresses are grouped by network$/)
      }
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("is told once how it fits, and warned of when it knows less than half of many addresses", () =>
    Effect.gen(function* () {
      const map = bySystem(Result.getOrThrow(AsMap.decode(program(answer(7)))))
      const strange = bySystem(Result.getOrThrow(AsMap.decode(program(ipv4Prefix, match8("00101000"), answer(7)))))
      const addresses = Array.from({ length: 60 }, (_, n) => address(`${n < 20 ? 40 : 50}.${n}.1.1:8233`))
      assert.deepStrictEqual(map.health(addresses), { addresses: 60, unmapped: 0, systems: 1, largest: 60 })
      assert.deepStrictEqual(yield* linesOf(report(map, addresses)), [
        "Info: addresses known, by the map of autonomous systems"
      ])
      assert.deepStrictEqual(strange.health(addresses), { addresses: 60, unmapped: 40, systems: 1, largest: 20 })
      assert.deepStrictEqual(yield* linesOf(report(strange, addresses)), [
        "Warn: the map of autonomous systems does not know most addresses: take a newer one"
      ])
      // Too few to say so.
      assert.deepStrictEqual(yield* linesOf(report(strange, addresses.slice(20))), [
        "Info: addresses known, by the map of autonomous systems"
      ])
      // From fifty on, and when it knows less than half.
      const levels = Effect.forEach(
        [addresses.slice(10), addresses.slice(0, 49), addresses.slice(0, 50), addresses.slice(0, 40)],
        (some) => Effect.map(linesOf(report(strange, some)), ([line]) => line?.slice(0, 4))
      )
      assert.deepStrictEqual(yield* levels, ["Warn", "Info", "Warn", "Info"])
      assert.deepStrictEqual(yield* linesOf(report(byNetwork, addresses)), [])
    })
  )
})
