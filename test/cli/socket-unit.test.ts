/**
 * Tests which `.socket` unit `bindlock status` names.
 */
import test from 'ava';
import {unitIn} from '../../src/cli/socket-unit.js';
import {parseAddress} from '../../src/kernel/address-parser.js';

const shown = `Id=dbus.socket
Listen=/run/dbus/system_bus_socket (Stream)

Id=app.socket
Listen=/run/app.sock.extra (Stream)
Listen=/run/app.sock (Stream)
Listen=/run/app.fifo (FIFO)

Id=name.socket
Listen=@app (Stream)
Listen=/run/datagrams (Datagram)
`;

test('the unit of an address, among the sockets that systemctl shows', t => {
	for (const [address, unit] of [
		['/run/app.sock', 'app.socket'],
		['\0app', 'name.socket'],
		['/run/app', undefined],
		['/run/datagrams', undefined],
		['/run/dbus/system_bus_socket', 'dbus.socket'],
	] as const) {
		t.is(unitIn(shown, parseAddress(address)), unit, address);
	}
});
