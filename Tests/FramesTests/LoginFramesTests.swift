import Addresses
import Frames
import Testing

/// What is spoken with auth: logins, questions to authcheck, the administrator's requests.
@Suite struct LoginFramesTests {
    private static let origin = Login.Origin(address: [192, 0, 2, 1], isEncrypted: true)
    private static let networkOf6 = AuthAdmin.Subject.network([0x20, 1] + [UInt8](repeating: 0, count: 14), bits: 48)

    /// The one frame of a stream.
    private func frame(_ encode: (inout [UInt8]) -> Void, maxLength: Int) throws -> Frame {
        var decoder = FrameDecoder(maxLength: maxLength)
        var bytes: [UInt8] = []
        encode(&bytes)
        decoder.append(bytes)
        return try #require(try decoder.next())
    }

    @Test(arguments: [
        Login.Request.begin(token: 1, .pop3, origin, mechanism: Array("APOP".utf8)[...], binding: [60, 62], initial: [1, 2]),
        .begin(token: .max, .submission, Login.Origin(address: [], isEncrypted: false), mechanism: [], binding: [], initial: nil),
        .begin(token: 0, .web, origin, mechanism: [65], binding: [], initial: []), .respond(token: 2, []), .respond(token: 2, [0, 255]),
        .cancel(token: 3),
        .permit(token: 4, account: [97], sender: .null), .charge(token: 5, account: [97], recipients: 100_000),
    ])
    func logins(_ request: Login.Request) throws {
        #expect(try Login.Request(frame(request.encode, maxLength: Login.Request.maxLength)) == request)
    }

    @Test(arguments: [
        Login.Answer.challenge(token: 1, []), .success(token: 2, account: [97], ticket: [], final: [118, 61]), .failure(token: 3, .throttled),
        .permission(token: 4, .limitReached, recipients: 0),
    ])
    func answers(_ answer: Login.Answer) throws {
        #expect(try Login.Answer(frame(answer.encode, maxLength: Login.Answer.maxLength)) == answer)
    }

    @Test(arguments: [
        Check.Question(.program, .imap, program: [47, 120], login: [97], password: [0, 255], timestamp: [60, 62], address: [49]),
        Check.Question(.system, .submission, login: [], password: []),
    ])
    func questions(_ question: Check.Question) throws {
        let packet = question.encode()
        #expect(try Check.Question(#require(Frame(packet: packet[...]))) == question)
        for length in 1..<packet.count {
            #expect(throws: FrameError.malformed(1)) { try Check.Question(#require(Frame(packet: packet[..<length]))) }
        }
        #expect(throws: FrameError.malformed(1)) { try Check.Question(#require(Frame(packet: (packet + [0])[...]))) }
    }

    @Test(arguments: [
        Check.Answer.identity(uid: 0, gid: .max, user: [97], home: [47]), .denied, .trouble([]), .trouble([97, 10]),
    ])
    func verdicts(_ answer: Check.Answer) throws { #expect(try Check.Answer(#require(Frame(packet: answer.encode()[...]))) == answer) }

    @Test(arguments: [
        AuthAdmin.Request.list, .ban(.network([192, 0, 2, 1], bits: 32), seconds: 0), .ban(networkOf6, seconds: .max), .release(.account([97])),
        .release(.familiar(account: [97], network: [192, 0, 2, 0], bits: 24)),
    ])
    func requests(_ request: AuthAdmin.Request) throws {
        #expect(try AuthAdmin.Request(frame(request.encode, maxLength: AuthAdmin.Request.maxLength)) == request)
    }

    @Test(arguments: [
        AuthAdmin.Answer.entry(AuthAdmin.Entry(subject: networkOf6, failures: 7, refusedFor: nil)),
        .entry(AuthAdmin.Entry(subject: .account([]), failures: .max, refusedFor: 0)), .end, .unknown, .refused,
    ])
    func listed(_ answer: AuthAdmin.Answer) throws {
        #expect(try AuthAdmin.Answer(frame(answer.encode, maxLength: AuthAdmin.Answer.maxLength)) == answer)
    }

    /// No address has 5 bytes, none more bits than it has.
    @Test(arguments: [[3, 1, 33, 4, 0, 1, 2, 3, 4], [3, 1, 32, 5, 0, 1, 2, 3, 4, 5], [3, 9], [3], [9], [2, 0, 0, 0]] as [[UInt8]])
    func notRequests(_ packet: [UInt8]) throws {
        let frame = try #require(Frame(packet: packet[...]))
        #expect(throws: FrameError.self) { try AuthAdmin.Request(frame) }
    }
}
