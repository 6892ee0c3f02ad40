// dicomweb-client of npm, called from a test: argv has the folders of the client and of an XMLHttpRequest for Node.js,
// the archive's URL and more settings; stdin has the calls, a JSON array of [method, options]; stdout gets what each gave.
const [clientFolder, requestFolder, url, settings] = process.argv.slice(2);
global.XMLHttpRequest = require(requestFolder);
const { api } = require(clientFolder);

const bytes = (value) => {
  if (value instanceof ArrayBuffer) return { base64: Buffer.from(value).toString('base64'), ...described(value) };
  if (Array.isArray(value)) return value.map(bytes);
  return value;
};
const described = ({ contentType, transferSyntaxUID }) => ({ contentType, transferSyntaxUID });
const buffers = (options) =>
  options.datasets ? { ...options, datasets: options.datasets.map((text) => bytesOf(text)) } : options;
const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'base64')).buffer;

const failed = (error) => ({ error: error.message, status: error.status });

async function main() {
  const client = new api.DICOMwebClient({ url, ...JSON.parse(settings) });
  const results = [];
  for (const [method, options] of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
    results.push(await client[method](buffers(options)).then(bytes, failed));
  }
  process.stdout.write(JSON.stringify(results));
}

main();
