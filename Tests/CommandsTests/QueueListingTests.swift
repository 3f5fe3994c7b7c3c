import Addresses
import Frames
import QmailCommands
import Testing

@Suite struct QueueListingTests {
    private func recipient(_ channel: Channel, _ address: String, done: Bool = false) -> Admin.Recipient {
        Admin.Recipient(channel: channel, state: done ? .delivered : .waiting, address: Address(Array(address.utf8)) ?? .null)
    }

    /// spec-qmail §4.2: locals first, bytes that are not visible as `_`.
    @Test func linesOfQread() {
        var listing = QueueListing()
        var text = listing.begin(
            Admin.Message(id: 457, birth: 812_090_814, size: 1234, sender: Address(Array("sender@host".utf8)) ?? .null, isBouncing: false))
        text += listing.take([recipient(.remote, "a@b"), recipient(.local, "c@d", done: true)])
        text += listing.take([recipient(.local, "e\u{1}\u{E9}@f")])
        text += listing.begin(Admin.Message(id: 9, birth: 0, size: 0, sender: .null, isBouncing: true))
        text += listing.finish()
        #expect(
            String(decoding: text, as: UTF8.self)
                == "26 Sep 1995 04:46:54 GMT  #457  1234  <sender@host> \n  done\tlocal\tc@d\n\tlocal\te___@f\n\tremote\ta@b\n"
                + "1 Jan 1970 00:00:00 GMT  #9  0  <>  bouncing\n")
    }
}
