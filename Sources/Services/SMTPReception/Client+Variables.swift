private import Bytes
package import Reception

extension Client {
    /// The variables that say who the client is and what it may do (spec-qmail §13.1); the later ones go before the earlier.
    package static let variables = ["TCPREMOTEIP", "TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALIP", "TCPLOCALHOST", "RELAYCLIENT", "DATABYTES"]

    /// Takes one of ``variables``; others are none of its business.
    package mutating func set(_ variable: String, _ value: [UInt8]) {
        switch variable {
        case "RELAYCLIENT": relay = value
        // What is no number is 0, no limit.
        case "DATABYTES": databytes = parseLeadingDecimal(value) ?? 0
        case "TCPREMOTEIP": remoteIP = value
        case "TCPREMOTEHOST": remoteHost = value
        case "TCPREMOTEINFO": remoteInfo = value
        case "TCPLOCALIP", "TCPLOCALHOST": localHost = value
        default: break
        }
    }
}
