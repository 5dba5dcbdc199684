// manifests.mjs FILE...: Kubernetes manifests against the API's schemas, which the package
// kubernetes-models carries. A compiled schema reads exactly the keys it knows: a proxy
// notes what is read, and the rest is unknown. Objects whose keys are listed are open.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(join(process.cwd(), 'x.js'));
const { parseAllDocuments } = require('yaml');

const models = (apiVersion) => {
	const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
	return require(`kubernetes-models/${group ? `${group}/` : ''}${version}`);
};

const watch = (value, notes, path) => {
	if (value === null || typeof value !== 'object') {
		return value;
	}
	if (Array.isArray(value)) {
		return value.map((item, index) => watch(item, notes, `${path}/${index}`));
	}
	const inner = Object.fromEntries(
		Object.entries(value).map(([key, item]) => [key, watch(item, notes, `${path}/${key}`)]));
	const note = { path, read: new Set(), open: false, keys: Object.keys(value) };
	notes.push(note);
	return new Proxy(inner, {
		get: (target, key) => { note.read.add(key); return target[key]; },
		ownKeys: (target) => { note.open = true; return Reflect.ownKeys(target); },
	});
};

const check = (object) => {
	const all = models(object.apiVersion);
	const Model = all[object.kind];
	if (!Model) {
		throw new Error(`no ${object.kind} in ${object.apiVersion}`);
	}
	new Model(object).validate();
	const schema = Object.keys(all).find((key) => key.startsWith('Io') && all[key] === Model);
	const file = join(dirname(require.resolve('kubernetes-models')), '_schemas', `${schema}.js`);
	const notes = [];
	require(file).validate(watch(object, notes, ''));
	const unknown = notes.filter((note) => !note.open).flatMap(
		(note) => note.keys.filter((key) => !note.read.has(key)).map((key) => `${note.path}/${key}`));
	if (unknown.length) {
		throw new Error(`unknown keys: ${unknown.join(', ')}`);
	}
};

let good = 0;
let bad = 0;
for (const file of process.argv.slice(2)) {
	for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) {
		const object = document.toJS();
		try {
			if (document.errors.length) {
				throw document.errors[0];
			}
			check(object);
			good++;
		} catch (error) {
			bad++;
			console.log(`${file}: ${object?.kind}: ${error.message}`);
		}
	}
}
console.log(`${good} good, ${bad} bad`);
process.exit(bad || !good ? 1 : 0);
