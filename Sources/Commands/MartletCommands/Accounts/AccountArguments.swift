internal import Accounts
internal import ArgumentParser
private import Bytes

/// Arguments of the commands for accounts; what is no such name is a wrong call.
struct DomainArgument: ExpressibleByArgument {
    let domain: AccountDomain

    init?(argument: String) {
        guard let domain = AccountDomain(argument.utf8) else { return nil }
        self.domain = domain
    }
}

struct AddressArgument: ExpressibleByArgument {
    let address: AccountAddress

    init?(argument: String) {
        guard let address = AccountAddress(Array(argument.utf8)) else { return nil }
        self.address = address
    }

    static var description: String { "USER@DOMAIN; USER is at most \(AccountAddress.maxLocalPartBytes) bytes of \(AccountAddress.alphabet)." }
}

struct TargetArgument: ExpressibleByArgument {
    let target: ForwardAddress

    init?(argument: String) {
        guard let target = ForwardAddress(Array(argument.utf8)) else { return nil }
        self.target = target
    }
}

/// A size as people write it: `500M`, `2G`; `0` is no limit.
struct SizeArgument: ExpressibleByArgument {
    let bytes: UInt64

    static let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]

    init?(argument: String) {
        let unit = argument.last.flatMap { Self.units[Character($0.uppercased())] }
        guard let number = parseDecimal(Array((unit == nil ? argument[...] : argument.dropLast()).utf8)) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !overflow, bytes <= UInt64(Int64.max) else { return nil }
        self.bytes = bytes
    }
}
