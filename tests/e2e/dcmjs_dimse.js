// dcmjs-dimse of npm, called from a test: argv has its folder, the archive's port and AE title, the calling AE title and
// options; stdin has the requests, a JSON array; stdout gets what became of each, and what C-GET brought.
const [folder, port, called, calling, options] = process.argv.slice(2);
const { Client, Dataset, Transcoding, log, requests, responses, constants } = require(folder);
const { Status } = constants;
log.setLevel('silent');

const makers = {
  echo: () => new requests.CEchoRequest(),
  study: ({ elements }) => requests.CFindRequest.createStudyFindRequest(elements),
  series: ({ elements }) => requests.CFindRequest.createSeriesFindRequest(elements),
  image: ({ elements }) => requests.CFindRequest.createImageFindRequest(elements),
  worklist: ({ elements }) => requests.CFindRequest.createWorklistFindRequest(elements),
  move: ({ study, destination }) => requests.CMoveRequest.createStudyMoveRequest(destination, study),
  get: ({ study }) => requests.CGetRequest.createStudyGetRequest(study),
  create: ({ sopClass, uid, elements }) => withDataset(new requests.NCreateRequest(sopClass, uid), elements),
  set: ({ sopClass, uid, elements, context }) =>
    withDataset(new requests.NSetRequest(sopClass, uid, context), elements),
  action: ({ sopClass, uid, elements, type, context }) =>
    withDataset(new requests.NActionRequest(sopClass, uid, type || 1, context), elements),
  attributes: ({ sopClass, uid, names, context }) => new requests.NGetRequest(sopClass, uid, names, context),
  store: ({ path, syntaxes }) => {
    const request = new requests.CStoreRequest(path);
    request.setAdditionalTransferSyntaxes(syntaxes || []);
    return request;
  },
};

const withDataset = (request, elements) => {
  request.setDataset(new Dataset(elements));
  return request;
};

const counts = (response) =>
  response.getCompleted
    ? { completed: response.getCompleted(), failures: response.getFailures(), remaining: response.getRemaining() }
    : {};

const told = (response) => ({
  status: response.getStatus(),
  comment: response.getErrorComment(),
  elements: response.hasDataset() ? response.getDataset().getElements() : null,
  ...counts(response),
});

async function main() {
  await Transcoding.initializeAsync();
  const client = new Client();
  const results = [];
  const received = [];
  const reports = [];
  const association = {};
  for (const asked of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
    const request = makers[asked.kind](asked);
    const answers = [];
    results.push(answers);
    request.on('response', (response) => answers.push(told(response)));
    client.addRequest(request);
  }
  client.on('cStoreRequest', (request, callback) => {
    received.push({
      sopInstanceUid: request.getAffectedSopInstanceUid(),
      transferSyntaxUid: request.getDataset().getTransferSyntaxUid(),
      pixels: Buffer.from(request.getDataset().getElement('PixelData')[0]).toString('base64'),
    });
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  });
  client.on('nEventReportRequest', (request, callback) => {
    reports.push({ event: request.getEventTypeId(), elements: request.getDataset().getElements() });
    const response = responses.NEventReportResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  });
  client.on('associationAccepted', (accepted) => {
    association.accepted = true;
    association.maxAsyncOpsInvoked = accepted.getMaxAsyncOpsInvoked();
    association.identityAnswer = accepted.getUserIdentityServerResponse();
  });
  client.on('associationRejected', (result) => { association.rejected = result; });
  client.on('networkError', (error) => { association.error = error.message; });
  client.on('closed', () => process.stdout.write(JSON.stringify({ association, results, received, reports })));
  client.send('127.0.0.1', Number(port), calling, called, JSON.parse(options));
}

main();
