"""The parts that a run's script is put together from, as text: `script` chooses those that the run needs."""

from __future__ import annotations

DATA = '''
FILES = {  # name -> SHA-256 of the file, unpacked
    {files},
}
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")


def load(folder, name):
    """One of MNIST's files as a tensor of bytes; fetched first if it is not in the folder."""
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fetch(name))
    content = np.fromfile(path, dtype=np.uint8)
    axes = int(content[3])  # an IDX file: a magic number that ends in the number of axes, their lengths, the values
    shape = content[4:4 + 4 * axes].view(">i4")
    return torch.from_numpy(content[4 + 4 * axes:].reshape(*shape))


def fetch(name):
    for mirror in MIRRORS:
        try:
            with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=30) as answer:
                content = gzip.decompress(answer.read())
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == FILES[name]:
            return content
    raise SystemExit(f"{name} cannot be fetched; put MNIST's four files, unpacked, into the folder given by --data.")


def normalise(images):
    """(B, 28, 28) bytes -> (B, 1, 28, 28) floats of mean 0 and deviation 1 over the training images."""
    return images.unsqueeze(1).float().mul_(1 / (255 * {std})).sub_({mean} / {std})
'''

SPLIT = '''
def split(labels):
    """Which training images to train on and which to keep back, each class in its own proportion."""
    values = labels.numpy()
    order = np.random.default_rng(np.random.SeedSequence([HOLDOUT_SEED, HOLDOUT])).permutation(len(values))
    shares = np.empty(len(values))
    for value in np.unique(values):
        members = order[values[order] == value]
        shares[members] = (np.arange(len(members)) + 0.5) / len(members)
    kept = np.zeros(len(values), dtype=bool)
    kept[order[np.argsort(shares[order], kind="stable")[:HOLDOUT]]] = True
    return torch.from_numpy(~kept), torch.from_numpy(kept)
'''

AUGMENT = '''
def transforms():
    return [
{transforms},
    ]


def augment(images, *key):
    """The images as the transforms make them, (N, 28, 28) bytes; the key fixes every random choice."""
    images = images.copy()
    for child, transform in enumerate(transforms()):
        numbers, words = np.random.SeedSequence([SEED, *key, child]).spawn(2)
        transform.set_random_state(np.random.default_rng(numbers),
                                   random.Random(int(words.generate_state(1, np.uint64)[0])))
        for index, image in enumerate(images):
            images[index] = transform(image=image)["image"]
    return images
'''

ORDER = '''
def shuffled(epoch, count):
    """The order in which an epoch visits its images; epochs count from 0."""
    state = np.random.SeedSequence([SEED, epoch]).generate_state(2)
    generator = torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
    return torch.randperm(count, generator=generator)
'''

BATCHES = '''
def batches(images, labels, epoch):
    """The epoch's batches, shuffled."""
    order = shuffled(epoch, len(images))
    yield from zip(images[order].split(BATCH_SIZE), labels[order].split(BATCH_SIZE))
'''

AUGMENTED_BATCHES = '''
def batches(images, labels, epoch):
    """The epoch's batches, shuffled, and augmented in the first epochs."""
    order = shuffled(epoch, len(images))
    for number, part in enumerate(order.split(max(1, {chunk} // BATCH_SIZE) * BATCH_SIZE)):
        some = images[part]
        if epoch < AUGMENTED_EPOCHS:
            some = torch.from_numpy(augment(some.numpy(), epoch, number))
        yield from zip(some.split(BATCH_SIZE), labels[part].split(BATCH_SIZE))
'''

INITIALISE = '''
def initialise(model):
    """First weights, the same for the same seed."""
    generator = torch.Generator().manual_seed(SEED)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            {weights}
            if module.bias is not None:
                bound = {bound}
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
'''
WEIGHTS = {
    "torch": "nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)",
    "xavier": "nn.init.xavier_uniform_(module.weight, generator=generator)",
    "he": 'nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)',
}
BOUNDS = {"torch": "1 / math.sqrt(module.weight[0].numel())"}
NO_BOUND = "0.0  # zeros, but drawn, so that the weights after them are the run's own"

ENSEMBLE = '''
class Teacher(nn.Module):
    """Several networks that answer together: the mean of their logits."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList([{members}])

    def forward(self, x):
        return torch.stack([member(x) for member in self.members]).mean(0)
'''

TEACHER = '''
WEIGHTS = """
{weights}
"""


def trained_teacher():
    """The trained network whose answers are learnt along with the labels."""
    model = Teacher()
    values = torch.from_numpy(np.frombuffer(base64.b64decode(WEIGHTS), "<f4").copy())
    tensors = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    for tensor, own in zip(tensors, values.split([tensor.numel() for tensor in tensors])):
        tensor.copy_(own.view_as(tensor))
    return model.eval().requires_grad_(False)


def distillation(logits, answers):
    """T^2 times the cross-entropy of the softened probabilities under the teacher's; arXiv 1503.02531."""
    softened = F.log_softmax(logits / TEMPERATURE, 1)
    return -TEMPERATURE ** 2 * (F.softmax(answers / TEMPERATURE, 1) * softened).sum(1).mean()
'''

ROUNDED = '''
def ask(model, images):
    """Logits (B, 10), computed in bfloat16 as in the run."""
    with torch.autocast(images.device.type, torch.bfloat16):
        return model(images{layout}).float()
'''

EVALUATE = '''
@torch.inference_mode()
def evaluate(model, images, labels, device):
    """Mean loss and number of right answers."""
    model.eval()
    loss = correct = 0
    for some, targets in zip(images.split(1_000), labels.split(1_000)):
        logits, targets = {logits}, targets.to(device)
        loss += F.cross_entropy(logits, targets, reduction="sum").item()
        correct += int((logits.argmax(1) == targets).sum())
    model.train()
    return loss / len(images), correct
'''

AVERAGE = '''
class Average:
    """The moving average of a model's weights and statistics, which is what is validated and saved."""

    def __init__(self, model):
        self.model, self.steps = copy.deepcopy(model), 0
        self.pairs = [(mine, other) for mine, other in zip(self.model.state_dict().values(),
                                                           model.state_dict(keep_vars=True).values())
                      if mine.is_floating_point()]

    @torch.no_grad()
    def update(self):
        decay = min(EMA, (1 + self.steps) / (10 + self.steps))  # so that the first, random weights are soon forgotten
        for mine, other in self.pairs:
            mine.lerp_(other, 1 - decay)
        self.steps += 1
'''
