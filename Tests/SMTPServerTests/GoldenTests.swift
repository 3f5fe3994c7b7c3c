import Addresses
import Bytes
import CDB
import Foundation
import SMTPServer
import Testing

/// The recorded cases of notqmail's qmail-smtpd against the classic profile, where this checkout has them beside it.
@Suite struct GoldenTests {
    private struct Case {
        let id: String
        let input: [UInt8]
        let environment: [String: String]
        let files: [String: [UInt8]]
        let queueExit: Int
        let queueError: String?
        let stdout: String
        /// What the queue took, recorded as `F…\0T…\0…\0` and the message.
        let messages: [(envelope: String, content: [UInt8])]
    }

    @Test func recordedSessions() throws {
        var passed = 0
        for entry in Self.cases {
            let dialog = Dialog(.classic, policy: try policy(entry), client: client(entry), greets: true)
            dialog.queueAnswer = answer(entry)
            dialog.say(entry.input)
            dialog.hangUp()
            let output = mask(dialog.output)
            #expect(output == entry.stdout, "\(entry.id)")
            if output == entry.stdout { passed += 1 }
            // Where no queue program could be started, none recorded what it would have got.
            guard entry.environment["QMAILQUEUE"] == nil else { continue }
            let found = dialog.messages.map { ($0.envelope.wire, maskDate($0.content)) }
            #expect(found.map(\.0) == entry.messages.map(\.envelope) && found.map(\.1) == entry.messages.map(\.content), "\(entry.id)")
        }
        print("recorded sessions: \(passed) of \(Self.cases.count)")
    }

    private static var cases: [Case] {
        let root = ProcessInfo.processInfo.environment["MARTLET_GOLDEN"] ?? "../shared/golden/qmail"
        guard let text = try? String(contentsOfFile: "\(root)/qmail-smtpd.jsonl", encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap { line in
            guard let entry = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], let id = entry["id"] as? String,
                let expect = entry["expect"] as? [String: Any]
            else { return nil }
            let queue = expect["queue"] as? [[String: Any]] ?? [expect]
            return Case(
                id: id, input: bytes(entry, "stdin"), environment: entry["env"] as? [String: String] ?? [:],
                files: (entry["files"] as? [String: Any] ?? [:]).mapValues { bytes(["x": $0], "x") }, queueExit: entry["queue_exit"] as? Int ?? 0,
                queueError: entry["queue_error"] as? String, stdout: expect["stdout"] as? String ?? "",
                messages: queue.filter { $0["envelope"] != nil }.map { (bytes($0, "envelope").text, bytes($0, "message")) })
        }
    }

    private static func bytes(_ entry: [String: Any], _ key: String) -> [UInt8] {
        if let text = entry[key] as? String { return Array(text.utf8) }
        let encoded = entry[key + "_b64"] as? String ?? (entry[key] as? [String: String])?["b64"] ?? ""
        return Data(base64Encoded: encoded).map(Array.init) ?? []
    }

    private func policy(_ entry: Case) throws -> Policy {
        let lines = { (name: String) -> [[UInt8]]? in
            entry.files["control/\(name)"].map { file in
                file.split(separator: ASCII.lf).map { Array($0.trimmingTrailingBlanks()) }.filter { !$0.isEmpty && $0.first != ASCII.hash }
            }
        }
        let line = { (name: String) in entry.files["control/\(name)"].map { Array($0.prefix { $0 != ASCII.lf }.trimmingTrailingBlanks()) } }
        var more: @Sendable ([UInt8]) -> Policy.Lookup = { _ in .absent }
        if let file = entry.files["control/morercpthosts.cdb"] {
            let path = NSTemporaryDirectory() + "martlet-golden-\(UUID().uuidString)"
            try Data(file).write(to: URL(fileURLWithPath: path))
            defer { unlink(path) }
            let database = try ConstantDatabase.open(path)
            more = { key in
                do { return try database?.value(of: key) == nil ? .absent : .found } catch { return .unreadable }
            }
        }
        return Policy(
            greeting: line("smtpgreeting") ?? line("me") ?? [], databytes: line("databytes").flatMap { parseLeadingDecimal($0) } ?? 0,
            localIPHost: line("localiphost") ?? line("me"),
            ownAddresses: Set(["127.0.0.1", "0.0.0.0"].compactMap { IPAddress(dotted: $0.utf8) }), badMailFrom: lines("badmailfrom") ?? [],
            rcpthosts: lines("rcpthosts"), moreRcpthosts: more)
    }

    private func client(_ entry: Case) -> Client {
        let value = { (name: String) in entry.environment[name].map { Array($0.utf8) } }
        let unknown = Array("unknown".utf8)
        return Client(
            remoteIP: value("TCPREMOTEIP") ?? unknown, remoteHost: value("TCPREMOTEHOST") ?? unknown, remoteInfo: value("TCPREMOTEINFO"),
            localHost: value("TCPLOCALHOST") ?? value("TCPLOCALIP") ?? unknown, relay: value("RELAYCLIENT"),
            databytes: value("DATABYTES").map { parseLeadingDecimal($0) ?? 0 })
    }

    /// spec-qmail §3.2, as far as the cases go.
    private func answer(_ entry: Case) -> Session.QueueAnswer {
        if entry.environment["QMAILQUEUE"] != nil { return .refused(isPermanent: false, text: "unable to exec qq (#4.3.0)") }
        let text: String
        switch entry.queueExit {
        case 0: return .accepted(time: 1_700_000_000, qp: 42)
        case 11, 115: text = "envelope address too long for qq (#5.1.3)"
        case 31: text = "mail server permanently rejected message (#5.3.0)"
        case 51: text = "qq out of memory (#4.3.0)"
        case 52: text = "qq timeout (#4.3.0)"
        case 53: text = "qq write error or disk full (#4.3.0)"
        case 62...66: text = "qq trouble creating files in queue (#4.3.0)"
        case 81, 91: text = "qq internal bug (#4.3.0)"
        case 82: text = String(entry.queueError?.dropFirst() ?? "")
        case 11...40: text = "qq permanent problem (#5.3.0)"
        default: text = "qq temporary problem (#4.3.0)"
        }
        return .refused(isPermanent: entry.queueError?.hasPrefix("D") ?? (11...40).contains(entry.queueExit), text: text)
    }

    private func mask(_ output: [UInt8]) -> String { output.text.replacingOccurrences(of: "ok 1700000000 qp 42", with: "ok <TIME> qp <PID>") }

    private func maskDate(_ content: [UInt8]) -> [UInt8] {
        let date = Array("26 Sep 1995 04:46:54 -0000".utf8)
        guard let start = content.indices.first(where: { content[$0...].starts(with: date) }) else { return content }
        return content[..<start] + Array("<DATE>".utf8) + content[(start + date.count)...]
    }
}

extension Envelope {
    fileprivate var wire: String { "F\(sender)\0" + recipients.map { "T\($0)\0" }.joined() + "\0" }
}
