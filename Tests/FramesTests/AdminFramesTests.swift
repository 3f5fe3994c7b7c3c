import Addresses
import Frames
import Testing

private func address(_ text: String) -> Address { Address(Array(text.utf8)) ?? .null }

/// Cuts what was sent into frames of at most the agreed length.
private func frames(_ bytes: [UInt8], maxLength: Int) throws -> [Frame] {
    var decoder = FrameDecoder(maxLength: maxLength)
    decoder.append(bytes)
    var result: [Frame] = []
    while let frame = try decoder.next() { result.append(frame) }
    return result
}

@Suite struct AdminFramesTests {
    static let selection: Admin.Selection = {
        var selection = Admin.Selection()
        selection.sender = []
        selection.recipient = Array("*@b".utf8)
        selection.channel = .remote
        selection.minAge = 5
        selection.maxAge = 1 << 40
        selection.isHeld = false
        selection.ids = [7, .max]
        return selection
    }()

    static let requests: [Admin.Request] = [
        .list(.everything), .counts, .list(selection), .preview(selection), .show(id: 3, contentBytes: .max), .act(.hold, .everything),
        .act(.release, selection),
        .act(.retry, selection), .act(.expire, selection), .act(.remove, selection), .act(.reroute, selection),
        .act(.rerouteVia(Array("relay:25".utf8)), selection),
    ]

    @Test(arguments: requests)
    func requestsSurviveTheWire(_ request: Admin.Request) throws {
        var bytes: [UInt8] = []
        request.encode(into: &bytes)
        #expect(try frames(bytes, maxLength: Admin.Request.maxLength).map { try Admin.Request($0) } == [request])
    }

    @Test(arguments: [
        Admin.Answer.message(
            Admin.Message(
                id: 1 << 62, birth: 812_090_814, size: 4096, sender: .null, isBouncing: true, isHeld: true, nextLocal: 1, nextRemote: .max)),
        .message(Admin.Message(id: 0, birth: 0, size: 0, sender: address("a@b"), isBouncing: false)),
        .recipients([
            Admin.Recipient(channel: .local, state: .delivered, address: address("v-a@b")),
            Admin.Recipient(channel: .remote, state: .underWay, address: .null, relay: Array("relay:25".utf8)),
        ]),
        .counts(Admin.Counts(messages: 7, notPreprocessed: 0, waitingLocal: 1, waitingRemote: 1_000_000)), .end,
        .progress(Admin.Progress(seen: 1, total: 2, messages: 3, recipients: 4, underWay: .max)), .missing(9),
        .text(recipient: 5, Array("451 later\n".utf8)), .content([0, 255, 10]), .refused(Array("no".utf8)),
    ])
    func answersSurviveTheWire(_ answer: Admin.Answer) throws {
        var bytes: [UInt8] = []
        answer.encode(into: &bytes)
        #expect(try frames(bytes, maxLength: Admin.Answer.maxLength).map { try Admin.Answer($0) } == [answer])
    }

    @Test func aLargeListSpansFrames() throws {
        let longest = address(String(repeating: "x", count: Address.maxBytes))
        let recipients = (0..<20_000).map {
            Admin.Recipient(
                channel: .remote, state: $0 % 2 == 0 ? .failed : .waiting, address: $0 % 100 == 0 ? longest : address("user\($0)@example.org"))
        }
        var bytes: [UInt8] = []
        Admin.Answer.recipients(recipients).encode(into: &bytes)
        let answers = try frames(bytes, maxLength: Admin.Answer.maxLength).map { try Admin.Answer($0) }
        #expect(answers.count > 5)
        let joined = answers.flatMap { answer -> [Admin.Recipient] in if case .recipients(let part) = answer { part } else { [] } }
        #expect(joined == recipients)
    }

    @Test func noRecipientsMakeNoFrame() {
        var bytes: [UInt8] = []
        Admin.Answer.recipients([]).encode(into: &bytes)
        #expect(bytes.isEmpty)
    }

    @Test(
        arguments: [
            (65, [1, 2, 3]), (66, [10, 0, 0, 0, 0]), (66, [0, 1]), (66, [0, 1, 0, 10]), (67, []), (68, [0]), (69, []), (70, [1]), (71, [1]), (74, []),
            (0, []),
        ] as [(UInt8, [UInt8])])
    func garbageIsRefused(_ type: UInt8, _ payload: [UInt8]) {
        #expect(throws: FrameError.self) { try Admin.Answer(Frame(type: type, payload: payload[...])) }
        #expect(throws: FrameError.self) { try Admin.Request(Frame(type: type, payload: payload[...])) }
    }

    @Test(arguments: requests) func aCutIsNoRequest(_ request: Admin.Request) throws {
        var bytes: [UInt8] = []
        request.encode(into: &bytes)
        let frame = try #require(try frames(bytes, maxLength: Admin.Request.maxLength).first)
        // Ids stand at the end, so that whole ones may be missing.
        for length in 0..<frame.payload.count {
            let cut = try? Admin.Request(Frame(type: frame.type, payload: frame.payload.prefix(length)))
            #expect(cut == nil || cut != request)
        }
        #expect(throws: FrameError.self) { try Admin.Request(Frame(type: frame.type, payload: frame.payload + [0])) }
    }

    @Test(arguments: [(4, [0]), (4, [8]), (4, [7, 0, 0]), (1, [32]), (3, [1]), (5, [])] as [(UInt8, [UInt8])])
    func garbageIsNoRequest(_ type: UInt8, _ payload: [UInt8]) {
        let padded = payload + [UInt8](repeating: 0, count: type == 5 ? 0 : 3)
        #expect(throws: FrameError.self) { try Admin.Request(Frame(type: type, payload: padded[...])) }
    }

    @Test func theLargestRequestFits() throws {
        var selection = Self.selection
        let longest = [UInt8](repeating: 0x78, count: Address.maxBytes)
        (selection.sender, selection.recipient, selection.domain) = (longest, longest, longest)
        selection.ids = (0..<Admin.Selection.maxIDs).map { UInt64($0) }
        var bytes: [UInt8] = []
        Admin.Request.act(.rerouteVia([UInt8](repeating: 0x78, count: 255)), selection).encode(into: &bytes)
        #expect(try frames(bytes, maxLength: Admin.Request.maxLength).count == 1)
    }
}
