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
    @Test(arguments: [Admin.Request.list, .counts])
    func requestsSurviveTheWire(_ request: Admin.Request) throws {
        var bytes: [UInt8] = []
        request.encode(into: &bytes)
        #expect(try frames(bytes, maxLength: Admin.Request.maxLength).map { try Admin.Request($0) } == [request])
    }

    @Test(arguments: [
        Admin.Answer.message(Admin.Message(id: 1 << 62, birth: 812_090_814, size: 4096, sender: .null, isBouncing: true)),
        .message(Admin.Message(id: 0, birth: 0, size: 0, sender: address("a@b"), isBouncing: false)),
        .recipients([
            Admin.Recipient(channel: .local, isDone: true, address: address("v-a@b")),
            Admin.Recipient(channel: .remote, isDone: false, address: .null),
        ]),
        .counts(Admin.Counts(messages: 7, notPreprocessed: 0, waitingLocal: 1, waitingRemote: 1_000_000)), .end,
    ])
    func answersSurviveTheWire(_ answer: Admin.Answer) throws {
        var bytes: [UInt8] = []
        answer.encode(into: &bytes)
        #expect(try frames(bytes, maxLength: Admin.Answer.maxLength).map { try Admin.Answer($0) } == [answer])
    }

    @Test func aLargeListSpansFrames() throws {
        let longest = address(String(repeating: "x", count: Address.maxBytes))
        let recipients = (0..<20_000).map {
            Admin.Recipient(channel: .remote, isDone: $0 % 2 == 0, address: $0 % 100 == 0 ? longest : address("user\($0)@example.org"))
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
            (65, [1, 2, 3]), (66, [4, 0, 0]), (66, [0, 1]), (66, [0, 1, 0, 10]), (67, []), (68, [0]), (69, []), (0, []),
        ] as [(UInt8, [UInt8])])
    func garbageIsRefused(_ type: UInt8, _ payload: [UInt8]) {
        #expect(throws: FrameError.self) { try Admin.Answer(Frame(type: type, payload: payload[...])) }
        #expect(throws: FrameError.self) { try Admin.Request(Frame(type: type, payload: payload[...])) }
    }

    @Test func requestsCarryNothing() {
        #expect(throws: FrameError.malformed(1)) { try Admin.Request(Frame(type: 1, payload: [0])) }
    }
}
