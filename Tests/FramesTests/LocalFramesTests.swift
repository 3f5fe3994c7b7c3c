import Addresses
import Frames
import Testing

/// The frames of local delivery, which lspawn writes and reads in C.
@Suite struct LocalFramesTests {
    static let request = WorkerRequest(
        slot: 0xDEAD_BEEF, user: [1], home: [0x2F], localPart: [2, 2], dash: [0x2D], ext: [], domain: [3], sender: .null,
        settings: DeliverySettings(defaultDelivery: [0x2E, 0x2F, 0x0A], programSeconds: 60, quota: [0x31, 0x53]))

    static func frame(_ packet: [UInt8]) throws -> Frame { try #require(Frame(packet: packet[...])) }

    @Test func aRequestIsReadAsItWasWritten() throws {
        #expect(try WorkerRequest(Self.frame(Self.request.encode())) == Self.request)
    }

    @Test func aProbeIsReadAndAnswered() throws {
        let probe = try WorkerProbe(Self.frame([2, 9, 0, 0, 0, 2, 0, 0x2F, 0x61, 1, 0, 0x2D, 1, 0, 0x78]))
        #expect(probe.token == 9)
        #expect(Array(probe.home) == [0x2F, 0x61])
        #expect(Array(probe.ext) == [0x78])
        #expect(probe.answer(.nonexistent) == [67, 9, 0, 0, 0, 2])
    }

    @Test(arguments: [
        ([1, 7, 0, 0, 0, 1, 0, 0x61, 1, 0, 0x62], true), ([2, 7, 0, 0, 0, 2], true), ([2, 7, 0, 0, 0, 3], false), ([3, 7, 0, 0, 0], false),
    ])
    func whatLspawnSaysToRoute(_ packet: [UInt8], _ isGood: Bool) throws {
        let frame = try Self.frame(packet)
        #expect(((try? Identity.Request(frame)) != nil) == isGood)
    }

    enum Reader {
        case request, probe, toRoute

        func takes(_ frame: Frame) -> Bool {
            switch self {
            case .request: (try? WorkerRequest(frame)) != nil
            case .probe: (try? WorkerProbe(frame)) != nil
            case .toRoute: (try? Identity.Request(frame)) != nil
            }
        }
    }

    /// None that is cut short, and none with a byte more.
    @Test(arguments: [
        (Reader.request, request.encode()), (.probe, [2, 9, 0, 0, 0, 1, 0, 0x2F, 0, 0, 0, 0]), (.toRoute, [1, 7, 0, 0, 0, 1, 0, 0x61, 1, 0, 0x62]),
        (.toRoute, [2, 7, 0, 0, 0, 2]),
    ])
    func onlyWholeFramesAreTaken(_ reader: Reader, _ packet: [UInt8]) throws {
        #expect(reader.takes(try Self.frame(packet)))
        for cut in Array(1..<packet.count).map({ Array(packet[..<$0]) }) + [packet + [0]] {
            #expect(!reader.takes(try Self.frame(cut)))
        }
    }
}
