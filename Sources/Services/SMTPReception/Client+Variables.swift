private import Bytes
package import Reception

extension Client {
    /// The variables that say who the client is and what it may do (spec-qmail §13.1); the later ones go before the earlier.
    package static let variables = [
        "TCPREMOTEIP", "TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALIP", "TCPLOCALHOST", "RELAYCLIENT", "DATABYTES", "RCPTCHECK",
    ]

    /// Takes one of ``variables``, or what rblsmtpd and fixcrio would do in front of qmail-smtpd (spec-qmail §18); others are none of its business.
    package mutating func set(_ variable: String, _ value: [UInt8]) {
        switch variable {
        case "RELAYCLIENT": relay = value
        // What is no number is 0, no limit.
        case "DATABYTES": databytes = parseLeadingDecimal(value) ?? 0
        case "TCPREMOTEIP": remoteIP = value
        case "TCPREMOTEHOST": remoteHost = value
        case "TCPREMOTEINFO": remoteInfo = value
        case "TCPLOCALIP", "TCPLOCALHOST": localHost = value
        case "RCPTCHECK": recipientCheck = value.isEmpty ? nil : value
        case "RBLSMTPD": listText = value
        case "FIXCRIO": mendsLineEnds = true
        default: break
        }
    }
}
