internal import ArgumentParser
private import Bytes
private import Dates
private import Frames
private import Posix
private import QueueAdministration

extension Queue {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the messages that wait, with their recipients.")

        func run() throws {
            try enterHome()
            do throws(AdminClient.Failure) { try AdminClient().ask(.list) { Self.show($0) } } catch { throw Complaint(error.text) }
        }

        private static func show(_ answer: Admin.Answer) {
            switch answer {
            case .message(let message):
                print(message.id, MailDate(message.birth).dateAndTime, message.size, logsafe(message.sender.bytes), separator: "\t")
            case .recipients(let recipients):
                for recipient in recipients where !recipient.isDone {
                    print("", recipient.channel, logsafe(recipient.address.bytes), separator: "\t")
                }
            case .counts, .end: break
            }
        }
    }
}
